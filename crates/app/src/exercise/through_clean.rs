//! Clean traffic through the gateway: what the guards remember when an attack begins, and what they say of honest clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use attack::Fault;
use attack::scorecard::{Clean, Share};
use numeric::Rng;
use upstream::Secret;

use super::data::{Rows, bad};
use super::through::Room;
use super::through_model::{Letter, Post, Word};
use crate::AppError;

/// Clean queries that the guards remember when an attack begins.
const BEFORE: usize = 200;
/// Honest clients that sent them.
const WARDS: usize = 10;
/// Most clean requests.
const REQUESTS_MAX: usize = 2_000;
/// Stream of randomness.
const STREAM: u64 = 0xc1ea;

fn failed(fault: Fault) -> AppError {
    bad(fault.to_string())
}

/// Sends clean rows of the calibration split and keeps what the guards remember of them. Gives their number.
pub(super) fn warm(post: &Arc<Post>, seed: u64) -> Result<usize, AppError> {
    let guarded = &post.through.guarded;
    let inputs = &guarded.before.inputs;
    let order = Rng::new(seed, STREAM).permutation(inputs.rows);
    let room = Room { name: "before".to_owned(), clients: (0..WARDS).map(|n| format!("ward-{n}")).collect() };
    let keys = keys_of(post, &room)?;
    let shape = |name: &str, values: &[f32]| {
        domain::Tensor::new(name, guarded.schema.shape(1), domain::TensorData::Fp32(values.to_vec()))
            .map_err(|e| AppError::Internal(e.to_string()))
    };
    let mut queue = Vec::new();
    for (row, key) in order.iter().take(BEFORE).zip(keys.iter().cycle()) {
        let tensor = shape(guarded.schema.tensor(), inputs.row(*row))?;
        queue.push(Letter { room: room.name.clone(), key: key.clone(), row: tensor });
    }
    let count = queue.len();
    post.deliver(vec![queue]).map_err(failed)?;
    post.through.door.remember(&room.name)?;
    post.through.door.close(&[room.name]);
    Ok(count)
}

fn keys_of(post: &Arc<Post>, room: &Room) -> Result<Vec<Secret>, AppError> {
    let mut all = post.open(std::slice::from_ref(room)).map_err(failed)?;
    all.pop().ok_or_else(|| AppError::Internal("a room without keys".to_owned()))
}

/// Sends held-out rows as honest clients do, as many requests as the longest kind of run took, once by a client for each and once by one busy client.
pub(super) fn traffic(
    post: &Arc<Post>,
    rows: &Rows,
    requests: usize,
    seed: u64,
) -> Result<Vec<Clean>, AppError> {
    let requests = requests.clamp(rows.len().min(REQUESTS_MAX), REQUESTS_MAX);
    let order = Rng::new(seed, STREAM + 1).permutation(rows.len());
    let chosen: Vec<usize> = order.iter().copied().cycle().take(requests).collect();
    let many = Room {
        name: "clean-many".to_owned(),
        clients: (0..requests).map(|n| format!("honest-{n}")).collect(),
    };
    let busy = Room { name: "clean-busy".to_owned(), clients: vec!["honest".to_owned()] };
    let mut queues = Vec::new();
    for room in [&many, &busy] {
        let keys = keys_of(post, room)?;
        let mut queue = Vec::new();
        for (row, key) in chosen.iter().zip(keys.iter().cycle()) {
            let tensor = post.row(rows.row(*row)).map_err(failed)?;
            queue.push(Letter { room: room.name.clone(), key: key.clone(), row: tensor });
        }
        queues.push(queue);
    }
    let heard = post.deliver(queues).map_err(failed)?;
    post.through.door.close(&[many.name, busy.name]);
    let who = ["a client for each request", "one busy client"];
    Ok(who.iter().zip(&heard).map(|(who, words)| said(who, rows.len().min(requests), words)).collect())
}

fn said(who: &str, rows: usize, words: &[Word]) -> Clean {
    let (mut by, mut beside) = (BTreeMap::new(), BTreeMap::new());
    for word in words {
        word.guards.iter().for_each(|g| *by.entry(g.clone()).or_insert(0) += 1);
        word.beside.iter().for_each(|g| *beside.entry(g.clone()).or_insert(0) += 1);
    }
    let alarm = |word: &Word| !word.guards.is_empty() || word.blocked;
    Clean {
        who: who.to_owned(),
        rows,
        alarms: Share::new(words.iter().filter(|w| alarm(w)).count(), words.len()),
        blocked: words.iter().filter(|w| w.blocked).count(),
        by,
        beside,
        first: words.iter().position(alarm).map(|at| at as u64 + 1),
    }
}
