"""Judges documents of the program by the official schemas. Called by artefacts.rs: validate.py KIND FILE [SCHEMA ...]."""

import json
import sys


def cyclonedx(file, version):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    spec = {"1.6": SchemaVersion.V1_6, "1.7": SchemaVersion.V1_7}[version]
    return JsonStrictValidator(spec).validate_str(open(file, encoding="utf-8").read())


def sarif(file, schema):
    import jsonschema

    validator = jsonschema.Draft7Validator(json.load(open(schema, encoding="utf-8")))
    errors = list(validator.iter_errors(json.load(open(file, encoding="utf-8"))))
    return errors[0] if errors else None


def xml(file, schema):
    from lxml import etree

    validator = etree.XMLSchema(etree.parse(schema))
    return None if validator.validate(etree.parse(file)) else validator.error_log.last_error


error = {"cyclonedx": cyclonedx, "sarif": sarif, "xml": xml}[sys.argv[1]](*sys.argv[2:])
print("valid" if error is None else f"invalid: {error}")
