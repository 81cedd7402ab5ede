-- The first schema. Common subset of SQLite and PostgreSQL: BIGINT, TEXT and BLOB columns only (BLOB is written BYTEA where
-- needed, by dialect.rs), no defaults, no triggers. Times are milliseconds since 1970 in UTC; digests are `sha256:…`; an
-- empty text stands for "none" in columns that are part of a key.

CREATE TABLE meta (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE anchor (
  id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  size BIGINT NOT NULL,
  root TEXT NOT NULL,
  made_at BIGINT NOT NULL
);

CREATE TABLE api_key (
  id TEXT NOT NULL PRIMARY KEY,
  client TEXT NOT NULL,
  roles TEXT NOT NULL,
  systems TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT,
  hash TEXT NOT NULL,
  note TEXT NOT NULL
);

CREATE TABLE sign_in (
  hash TEXT NOT NULL PRIMARY KEY,
  account TEXT NOT NULL,
  roles TEXT NOT NULL,
  systems TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE console_session (
  hash TEXT NOT NULL PRIMARY KEY,
  account TEXT NOT NULL,
  roles TEXT NOT NULL,
  systems TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  ended_at BIGINT
);

CREATE TABLE evidence (
  ledger_index BIGINT NOT NULL PRIMARY KEY,
  system TEXT NOT NULL,
  check_id TEXT NOT NULL,
  subjects TEXT NOT NULL,
  made_at BIGINT NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX evidence_of_system ON evidence (system, check_id, subjects, ledger_index);

CREATE TABLE acceptance (
  ledger_index BIGINT NOT NULL PRIMARY KEY,
  system TEXT NOT NULL,
  until BIGINT NOT NULL,
  body TEXT NOT NULL,
  revoked_at BIGINT,
  revoked_by TEXT
);
CREATE INDEX acceptance_of_system ON acceptance (system, until);

CREATE TABLE system_version (
  system TEXT NOT NULL,
  number BIGINT NOT NULL,
  model TEXT NOT NULL,
  subjects TEXT NOT NULL,
  admitted_at BIGINT NOT NULL,
  fitted TEXT NOT NULL,
  settings TEXT NOT NULL,
  status TEXT NOT NULL,
  PRIMARY KEY (system, number)
);

CREATE TABLE system_state (
  system TEXT NOT NULL PRIMARY KEY,
  suspended BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  changed_at BIGINT NOT NULL
);

CREATE TABLE quarantine (
  client TEXT NOT NULL PRIMARY KEY,
  added_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  added_at BIGINT NOT NULL,
  until BIGINT
);

CREATE TABLE budget (
  client TEXT NOT NULL,
  day BIGINT NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (client, day)
);

CREATE TABLE decision (
  ledger_index BIGINT NOT NULL PRIMARY KEY,
  made_at BIGINT NOT NULL,
  system TEXT NOT NULL,
  client TEXT NOT NULL,
  model TEXT,
  advice TEXT NOT NULL,
  refused TEXT,
  guards TEXT NOT NULL,
  took_us BIGINT NOT NULL,
  traffic TEXT NOT NULL
);
CREATE INDEX decision_of_system ON decision (system, ledger_index);
CREATE INDEX decision_of_client ON decision (client, ledger_index);

CREATE TABLE alarm (
  id BIGINT NOT NULL PRIMARY KEY,
  alarm TEXT NOT NULL,
  system TEXT NOT NULL,
  client TEXT NOT NULL,
  severity TEXT NOT NULL,
  message TEXT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  count BIGINT NOT NULL,
  acknowledged_at BIGINT,
  acknowledged_by TEXT
);
CREATE INDEX alarm_of_kind ON alarm (alarm, system, client, id);

CREATE TABLE answer_flag (
  ledger_index BIGINT NOT NULL,
  flagged_by TEXT NOT NULL,
  flagged_at BIGINT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (ledger_index, flagged_by)
);

CREATE TABLE guard_history (
  system TEXT NOT NULL,
  guard TEXT NOT NULL,
  saved_at BIGINT NOT NULL,
  snapshot BLOB NOT NULL,
  PRIMARY KEY (system, guard)
);

CREATE TABLE config_load (
  id BIGINT NOT NULL PRIMARY KEY,
  digest TEXT NOT NULL,
  loaded_at BIGINT NOT NULL,
  loaded_by TEXT NOT NULL
);
