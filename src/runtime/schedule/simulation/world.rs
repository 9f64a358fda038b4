//! The flows, and what people do to their files.

use super::lines::{LINES, RULES, ZONES, schedule};
use crate::model::schedule::Schedule;
use crate::runtime::schedule::Planned;
use crate::value::id::FlowId;
use std::collections::HashMap;

/// One flow over all its names.
pub(super) struct Flow {
    pub(super) id: FlowId,
    pub(super) formerly: Vec<FlowId>,
    pub(super) line: usize,
    pub(super) zone: usize,
    pub(super) rule: usize,
    pub(super) schedule: Schedule,
    /// Enabled, with a schedule.
    pub(super) on: bool,
}

/// The project.
pub(super) struct World {
    pub(super) flows: Vec<Flow>,
    /// Present names.
    pub(super) index: HashMap<FlowId, usize>,
    names: u64,
}

impl World {
    pub(super) fn new(count: u32, rng: &mut fastrand::Rng) -> Self {
        let mut world = Self { flows: Vec::new(), index: HashMap::new(), names: 0 };
        for _ in 0..count {
            let (line, zone, rule) = (any_line(rng), rng.usize(..ZONES.len()), rng.usize(..RULES.len()));
            if let Some((id, schedule)) = world.name().zip(schedule(line, zone, rule)) {
                world.index.insert(id.clone(), world.flows.len());
                world.flows.push(Flow { id, formerly: Vec::new(), line, zone, rule, schedule, on: true });
            }
        }
        world
    }

    /// What the snapshot in force says.
    pub(super) fn planned(&self) -> impl Iterator<Item = Planned<'_>> {
        let on = self.flows.iter().filter(|flow| flow.on);
        on.map(|flow| Planned { flow: &flow.id, formerly: &flow.formerly, schedule: &flow.schedule })
    }

    /// Somebody edits some of the files. Gives the flows whose instants begin anew.
    pub(super) fn edit(&mut self, rng: &mut fastrand::Rng) -> Vec<usize> {
        let mut anew = Vec::new();
        let most = self.flows.len() / 50 + 2;
        for _ in 0..rng.usize(1..most) {
            let at = rng.usize(..self.flows.len());
            match rng.u8(..8) {
                0 | 1 => self.rename(at),
                2 | 3 => {
                    self.flows[at].on ^= true;
                    anew.push(at);
                }
                4 => {
                    self.rename(at);
                    self.draw(at, rng);
                    anew.push(at);
                }
                5 | 6 => {
                    self.draw(at, rng);
                    anew.push(at);
                }
                _ => {
                    let flow = &mut self.flows[at];
                    flow.rule = rng.usize(..RULES.len());
                    (flow.schedule.missed, flow.schedule.overlap) = RULES[flow.rule];
                }
            }
        }
        anew.sort_unstable();
        anew.dedup();
        anew
    }

    fn rename(&mut self, at: usize) {
        let Some(id) = self.name() else { return };
        let flow = &mut self.flows[at];
        self.index.remove(&flow.id);
        self.index.insert(id.clone(), at);
        flow.formerly.push(std::mem::replace(&mut flow.id, id));
    }

    /// Another line, or the same one in another zone.
    fn draw(&mut self, at: usize, rng: &mut fastrand::Rng) {
        let flow = &mut self.flows[at];
        let line = if rng.bool() { any_line(rng) } else { flow.line };
        let zone = (flow.zone + 1 + rng.usize(..ZONES.len() - 1)) % ZONES.len();
        if let Some(schedule) = schedule(line, zone, flow.rule) {
            (flow.line, flow.zone, flow.schedule) = (line, zone, schedule);
        }
    }

    fn name(&mut self) -> Option<FlowId> {
        self.names += 1;
        FlowId::parse(&format!("flow-{}", self.names)).ok()
    }
}

fn any_line(rng: &mut fastrand::Rng) -> usize {
    let mut left = rng.u32(..LINES.iter().map(|line| line.weight).sum::<u32>());
    for (at, line) in LINES.iter().enumerate() {
        match left.checked_sub(line.weight) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    0
}
