//! Query-based evasion: attacks that see only what a client sees.
//!
//! All work in the unit box; a caller with other units scales inside its closure. `ask` gives class probabilities, or
//! `None` when the client is refused or its budget is used up, which ends the attack.

use numeric::Rng;

/// What a client can ask: probabilities for a point of the unit box, or nothing more.
pub type Ask<'a> = dyn FnMut(&[f32]) -> Option<Vec<f32>> + 'a;

/// How an attack ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The best adversarial point, if one was found within the attack's own limit.
    pub adversarial: Option<Vec<f32>>,
    /// Its distance from the start in the attack's norm.
    pub distance: f32,
}

/// The class with the highest probability.
pub fn decide(scores: &[f32]) -> usize {
    let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.map_or(0, |(k, _)| k)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f32>().sqrt()
}

fn blend(a: &[f32], b: &[f32], share_of_b: f32) -> Vec<f32> {
    a.iter().zip(b).map(|(x, y)| x + (y - x) * share_of_b).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "drawn in double, used in single precision")]
fn normals(rng: &mut Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.normal() as f32).collect()
}

fn unit(mut v: Vec<f32>) -> Vec<f32> {
    let length = v.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    v.iter_mut().for_each(|x| *x /= length);
    v
}

fn stepped(x: &[f32], direction: &[f32], size: f32) -> Vec<f32> {
    x.iter().zip(direction).map(|(v, d)| (v + d * size).clamp(0.0, 1.0)).collect()
}

/// Square attack, L∞ (Andriushchenko et al. 2020, arXiv:1912.00049): vertical stripes, then random squares whose side
/// shrinks, each kept when the margin falls. `width` is the number of columns of the image; for a table's row give the
/// number of features, and the squares become runs of features.
pub fn square(
    ask: &mut Ask<'_>,
    start: &[f32],
    class: usize,
    width: usize,
    eps: f32,
    iterations: usize,
    seed: u64,
) -> Attempt {
    let mut rng = Rng::new(seed, 1);
    let none = Attempt { adversarial: None, distance: eps };
    let margin = |scores: &[f32]| {
        let own = scores.get(class).copied().unwrap_or(0.0);
        let other =
            scores.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, p)| *p).fold(0.0, f32::max);
        own - other
    };
    let width = width.clamp(1, start.len().max(1));
    let height = start.len() / width;
    #[expect(clippy::cast_possible_truncation, reason = "a sign")]
    let stripes: Vec<f32> = (0..width).map(|_| rng.sign() as f32 * eps).collect();
    let mut best: Vec<f32> =
        start.iter().enumerate().map(|(i, v)| (v + stripes[i % width]).clamp(0.0, 1.0)).collect();
    let Some(scores) = ask(&best) else { return none };
    let mut lowest = margin(&scores);
    for i in 0..iterations {
        if lowest < 0.0 {
            return Attempt { adversarial: Some(best), distance: eps };
        }
        let side = square_side(height, width, i, iterations);
        let (tall, wide) = if height == 1 { (1, (side * side).min(width)) } else { (side, side) };
        let (top, left) = (rng.below(height - tall + 1), rng.below(width - wide + 1));
        #[expect(clippy::cast_possible_truncation, reason = "a sign")]
        let sign = rng.sign() as f32;
        let mut next = best.clone();
        for y in top..top + tall {
            for x in left..left + wide {
                let k = y * width + x;
                next[k] = (start[k] + sign * eps).clamp(0.0, 1.0);
            }
        }
        let Some(scores) = ask(&next) else { return none };
        if margin(&scores) < lowest {
            lowest = margin(&scores);
            best = next;
        }
    }
    if lowest < 0.0 { Attempt { adversarial: Some(best), distance: eps } } else { none }
}

/// Side of the square in iteration `i`: the paper's schedule for an initial share of 0.1.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of small images"
)]
fn square_side(height: usize, width: usize, i: usize, iterations: usize) -> usize {
    const STEPS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8];
    let done = i as f64 / iterations.max(1) as f64;
    let halvings = STEPS.iter().filter(|s| done > **s).count() as i32;
    let share = 0.1 * 0.5_f64.powi(halvings);
    let side = (share * (height * width) as f64).sqrt().round() as usize;
    if height == 1 { side.clamp(1, width) } else { side.clamp(1, height.min(width)) }
}

/// `HopSkipJump`, L2 (Chen, Jordan and Wainwright 2020, arXiv:1904.02144): binary search to the boundary, gradient
/// direction from random probes, geometric step, again. `other` is a point of another class to start from; without
/// it uniform noise is tried, as in the paper.
pub fn hop_skip_jump(
    ask: &mut Ask<'_>,
    start: &[f32],
    class: usize,
    other: Option<&[f32]>,
    rounds: usize,
    seed: u64,
) -> Attempt {
    let mut rng = Rng::new(seed, 2);
    let none = Attempt { adversarial: None, distance: f32::INFINITY };
    let Some(mut point) = first_adversarial(ask, start, class, other, &mut rng) else { return none };
    #[expect(clippy::cast_precision_loss, reason = "widths of small inputs")]
    let theta = 1.0 / ((start.len() as f32).sqrt() * start.len() as f32);
    let Some(found) = to_boundary(ask, start, &point, class, theta.max(1e-3)) else { return none };
    point = found;
    for t in 1..=rounds {
        let gap = distance(&point, start);
        #[expect(clippy::cast_precision_loss, reason = "widths of small inputs")]
        let delta = if t == 1 { 0.1 } else { (start.len() as f32).sqrt() * theta * gap }.max(1e-3);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few hundred probes"
        )]
        let probes = (100.0 * (t as f64).sqrt()) as usize;
        let done = |p: &Vec<f32>| Attempt { adversarial: Some(p.clone()), distance: distance(p, start) };
        let Some(direction) = gradient(ask, &point, class, delta, probes, &mut rng) else {
            return done(&point);
        };
        #[expect(clippy::cast_precision_loss, reason = "a few rounds")]
        let mut step = gap / (t as f32).sqrt();
        let mut moved = None;
        for _ in 0..20 {
            let candidate = stepped(&point, &direction, step);
            let Some(scores) = ask(&candidate) else { return done(&point) };
            if decide(&scores) != class {
                moved = Some(candidate);
                break;
            }
            step /= 2.0;
        }
        let Some(candidate) = moved else { continue };
        match to_boundary(ask, start, &candidate, class, theta.max(1e-3)) {
            Some(found) => point = found,
            None => return done(&point),
        }
    }
    Attempt { distance: distance(&point, start), adversarial: Some(point) }
}

fn first_adversarial(
    ask: &mut Ask<'_>,
    start: &[f32],
    class: usize,
    other: Option<&[f32]>,
    rng: &mut Rng,
) -> Option<Vec<f32>> {
    // As the published implementations do, the start itself is asked first: is there anything to change?
    if decide(&ask(start)?) != class {
        return Some(start.to_vec());
    }
    if let Some(other) = other {
        let scores = ask(other)?;
        return (decide(&scores) != class).then(|| other.to_vec());
    }
    for _ in 0..100 {
        #[expect(clippy::cast_possible_truncation, reason = "drawn in double, used in single precision")]
        let noise: Vec<f32> = start.iter().map(|_| rng.uniform() as f32).collect();
        if decide(&ask(&noise)?) != class {
            return Some(noise);
        }
    }
    None
}

/// Binary search between `start` and an adversarial point, to the share `tolerance` of their distance.
fn to_boundary(
    ask: &mut Ask<'_>,
    start: &[f32],
    adversarial: &[f32],
    class: usize,
    tolerance: f32,
) -> Option<Vec<f32>> {
    let (mut low, mut high) = (0.0_f32, 1.0_f32);
    while high - low > tolerance {
        let middle = f32::midpoint(low, high);
        if decide(&ask(&blend(start, adversarial, middle))?) == class {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(blend(start, adversarial, high))
}

/// Monte Carlo estimate of the direction away from `class` at a boundary point.
fn gradient(
    ask: &mut Ask<'_>,
    point: &[f32],
    class: usize,
    delta: f32,
    probes: usize,
    rng: &mut Rng,
) -> Option<Vec<f32>> {
    let mut signs = Vec::with_capacity(probes);
    let mut directions = Vec::with_capacity(probes);
    for _ in 0..probes {
        let direction = unit(normals(rng, point.len()));
        let scores = ask(&stepped(point, &direction, delta))?;
        signs.push(if decide(&scores) == class { -1.0_f32 } else { 1.0 });
        directions.push(direction);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred probes")]
    let mean = signs.iter().sum::<f32>() / signs.len().max(1) as f32;
    let mut sum = vec![0.0_f32; point.len()];
    for (sign, direction) in signs.iter().zip(&directions) {
        let weight = if mean.abs() < 1.0 { sign - mean } else { *sign };
        sum.iter_mut().zip(direction).for_each(|(s, d)| *s += weight * d);
    }
    Some(unit(sum))
}

/// Boundary attack (Brendel, Rauber and Bethge 2018, arXiv:1712.04248): from a point of another class, random steps
/// along the sphere around the start, then a step towards it, both sizes adapted to how often they succeed.
pub fn boundary_walk(
    ask: &mut Ask<'_>,
    start: &[f32],
    class: usize,
    other: &[f32],
    steps: usize,
    seed: u64,
) -> Attempt {
    let mut rng = Rng::new(seed, 3);
    let none = Attempt { adversarial: None, distance: f32::INFINITY };
    let Some(scores) = ask(start).and_then(|_| ask(other)) else { return none };
    if decide(&scores) == class {
        return none;
    }
    let mut point = other.to_vec();
    let (mut aside, mut towards) = (0.1_f32, 0.1_f32);
    for _ in 0..steps {
        let gap = distance(&point, start);
        let random = unit(normals(&mut rng, start.len()));
        let away: Vec<f32> = point.iter().zip(start).map(|(p, s)| (p - s) / gap.max(1e-9)).collect();
        let along: f32 = random.iter().zip(&away).map(|(r, a)| r * a).sum();
        let tangent = unit(random.iter().zip(&away).map(|(r, a)| r - along * a).collect());
        let on_sphere = stepped(&point, &tangent, aside * gap);
        let back = gap / distance(&on_sphere, start).max(1e-9);
        let candidate: Vec<f32> = start
            .iter()
            .zip(&on_sphere)
            .map(|(s, c)| (s + (c - s) * back * (1.0 - towards)).clamp(0.0, 1.0))
            .collect();
        let Some(scores) = ask(&candidate) else {
            return Attempt { distance: gap, adversarial: Some(point) };
        };
        if decide(&scores) == class {
            (aside, towards) = (aside * 0.95, towards * 0.9);
        } else {
            point = candidate;
            (aside, towards) = ((aside * 1.05).min(0.5), (towards * 1.1).min(0.3));
        }
    }
    Attempt { distance: distance(&point, start), adversarial: Some(point) }
}

/// Blinds queries: adds normal noise of standard deviation `sigma` to each value before it is sent (Chen, Carlini and
/// Wagner 2019, arXiv:1907.05587), the simplest way to hide from stateful detection.
pub fn blinded(point: &[f32], sigma: f32, rng: &mut Rng) -> Vec<f32> {
    let noise = normals(rng, point.len());
    point.iter().zip(noise).map(|(v, n)| (v + sigma * n).clamp(0.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Class 1 above the diagonal x + y = 1.
    fn plane(x: &[f32]) -> Vec<f32> {
        let p = 1.0 / (1.0 + (-8.0 * (x[0] + x[1] - 1.0)).exp());
        vec![1.0 - p, p]
    }

    #[test]
    fn hop_skip_jump_and_the_boundary_walk_come_near_the_nearest_adversarial_point() {
        let start = [0.2, 0.2];
        let nearest = 0.6 / 2.0_f32.sqrt();
        let hop = hop_skip_jump(&mut |x| Some(plane(x)), &start, 0, Some(&[0.9, 0.4]), 8, 1);
        assert!(hop.distance < nearest * 1.15, "{}", hop.distance);
        let walk = boundary_walk(&mut |x| Some(plane(x)), &start, 0, &[0.9, 0.4], 300, 1);
        assert!(walk.distance < nearest * 1.15, "{}", walk.distance);
        assert_eq!(decide(&plane(&walk.adversarial.unwrap())), 1);
    }

    #[test]
    fn square_stays_within_its_budget() {
        let start = [0.45, 0.45];
        let found = square(&mut |x| Some(plane(x)), &start, 0, 2, 0.1, 50, 3).adversarial.unwrap();
        assert!(found.iter().zip(start).all(|(a, b)| (a - b).abs() <= 0.1 + 1e-6));
        assert_eq!(decide(&plane(&found)), 1);
        assert!(square(&mut |x| Some(plane(x)), &start, 0, 2, 0.01, 50, 3).adversarial.is_none());
    }

    #[test]
    fn a_refusal_ends_every_attack() {
        let start = [0.2; 4];
        let mut refuse = |_: &[f32]| None;
        assert!(square(&mut refuse, &start, 0, 2, 0.1, 9, 1).adversarial.is_none());
        assert!(hop_skip_jump(&mut refuse, &start, 0, None, 3, 1).adversarial.is_none());
        assert!(boundary_walk(&mut refuse, &start, 0, &[0.9; 4], 9, 1).adversarial.is_none());
    }
}
