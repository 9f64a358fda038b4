//! Imports on the way whose records wait for each other: until a batch is full or nobody comes any more, or, with a
//! lock key, until all before them have come as far. What was in one request before a restart is in one again.

use super::Run;
use super::door::is_unknown;
use super::feed::Feed;
use super::lineup::Asking;
use super::writing::{Member, Replies, Writing, failed};
use crate::model::import::{Import, UnknownOutcome};
use crate::model::step::Step;
use crate::runtime::import::locks::Locks;
use crate::runtime::import::{Batcher, Item, Road};
use crate::runtime::walk::{Ask, Reply, Together, Trouble};
use crate::value::issue::EvalError;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// The page its records are of, the step, and for a request from before a restart which one it was.
type Key = (u64, usize, u64);

/// A batch that fills.
struct Filling<'r> {
    step: &'r Step,
    road: Road<'r>,
    batcher: Batcher<'r>,
    members: Vec<Member>,
}

/// Records of one request from before a restart, by their place in it.
struct Gathering<'r> {
    asking: BTreeMap<u32, Asking<'r>>,
    of: u32,
}

/// Records before an import with a lock key, in their order.
#[derive(Default)]
struct Gate<'r> {
    waiting: BTreeMap<(u64, u64), Asking<'r>>,
    /// All before this one have come as far.
    from: u64,
    count: u64,
}

/// What waits, and what may be sent.
#[derive(Default)]
pub(super) struct Collecting<'r> {
    filling: BTreeMap<Key, Filling<'r>>,
    gathering: BTreeMap<Key, Gathering<'r>>,
    gates: BTreeMap<usize, Gate<'r>>,
    /// Writes behind others that hold a lock key of theirs, by step.
    pub(super) locks: HashMap<&'r str, Locks<Writing<'r>>>,
    /// Writes that wait for nobody.
    pub(super) cleared: VecDeque<Writing<'r>>,
    /// Bytes of the bodies of all writes that are not answered.
    pub(super) bytes: usize,
}

impl<'r> Collecting<'r> {
    /// Writes that are rendered and not on their way.
    pub(super) fn rendered(&self) -> usize {
        self.cleared.len() + self.locks.values().map(Locks::waiting).sum::<usize>()
    }

    /// Takes a write that is full: it may go, or stands behind others with a key of its own.
    pub(super) fn line_up(&mut self, writing: Writing<'r>) {
        self.bytes += writing.batch.weight();
        let keys = writing.batch.locks();
        let free = if keys.is_empty() {
            Some(writing)
        } else {
            self.locks.entry(writing.step.name.as_str()).or_default().enter(&keys, writing)
        };
        self.cleared.extend(free);
    }

    /// A write is done with: who waited for it may go.
    pub(super) fn let_go(&mut self, writing: &Writing<'r>) {
        let keys = writing.batch.locks();
        if let Some(locks) = self.locks.get_mut(writing.step.name.as_str()).filter(|_| !keys.is_empty()) {
            self.cleared.extend(locks.leave(&keys));
        }
    }
}

impl<'r> Run<'r> {
    /// A record wants to be written.
    pub(super) fn write(&mut self, asking: Asking<'r>, import: &'r Import, feed: &mut Feed<'r>) {
        if import.lock_key.is_none() {
            return self.join(asking, import, feed);
        }
        let order = feed.order(asking.need.step);
        hold(feed, asking.id);
        let gate = self.collecting.gates.entry(order).or_default();
        gate.count += 1;
        gate.waiting.insert((asking.id, gate.count), asking);
    }

    /// Lets records pass that come behind nobody any more.
    pub(super) fn open_gates(&mut self, feed: &mut Feed<'r>) {
        let orders: Vec<usize> = self.collecting.gates.keys().copied().collect();
        for order in orders {
            // Who is on the way to the gate has not come to it.
            let coming = self.asked.first_waiting(|step| feed.order(step) == order);
            self.open_gate(order, coming, feed);
        }
    }

    fn open_gate(&mut self, order: usize, coming: Option<u64>, feed: &mut Feed<'r>) {
        while let Some(gate) = self.collecting.gates.get_mut(&order)
            && let Some(first) = gate.waiting.first_entry()
            && let Some(lineup) = feed.lineup()
        {
            let id = first.key().0;
            gate.from = lineup.first_before(gate.from, id, order);
            if gate.from < id || coming.is_some_and(|coming| coming < id) {
                return;
            }
            let asking = first.remove();
            lineup.release(id);
            if let Ask::Import(import) = asking.need.ask {
                self.join(asking, import, feed);
            }
        }
    }

    /// It goes into a request: alone, with those that come next, or with those it was sent with before.
    fn join(&mut self, asking: Asking<'r>, import: &'r Import, feed: &mut Feed<'r>) {
        if import.batch_size.get() == 1 {
            return self.alone(asking, import, feed);
        }
        let key = (page_of(feed, asking.id), feed.order(asking.need.step), 0);
        if import.lock_key.is_some() {
            self.close_earlier(key, feed);
        }
        match asking.need.was_sent.as_ref().and_then(|sent| sent.together) {
            Some(together) if together.of > 1 => self.gather(asking, key, together, feed),
            _ => self.add(asking, import, key, feed),
        }
    }

    /// Before a record that passed the gate nobody of an earlier page comes any more: the batches of those pages go, so
    /// that locks are asked for in order.
    fn close_earlier(&mut self, (page, order, _): Key, feed: &mut Feed<'r>) {
        let Collecting { filling, gathering, .. } = &self.collecting;
        let all = filling.keys().chain(gathering.keys());
        let earlier: BTreeSet<Key> = all.filter(|key| key.0 < page && key.1 == order).copied().collect();
        for key in earlier {
            self.regroup(key, feed);
            self.close(key, feed);
        }
    }

    fn gather(&mut self, asking: Asking<'r>, (page, order, _): Key, together: Together, feed: &mut Feed<'r>) {
        let key = (page, order, together.batch);
        hold(feed, asking.id);
        let all = self.collecting.gathering.entry(key);
        let all = all.or_insert_with(|| Gathering { asking: BTreeMap::new(), of: together.of });
        all.asking.insert(together.at, asking);
        if all.asking.len() >= all.of as usize {
            self.regroup(key, feed);
        }
    }

    /// What was in one request is in one again, in the same order.
    fn regroup(&mut self, key: Key, feed: &mut Feed<'r>) {
        let Some(all) = self.collecting.gathering.remove(&key) else { return };
        for asking in all.asking.into_values() {
            release(feed, asking.id);
            if let Ask::Import(import) = asking.need.ask {
                self.add(asking, import, key, feed);
            }
        }
        self.close(key, feed);
    }

    /// Adds a record to a batch that fills.
    fn add(&mut self, asking: Asking<'r>, import: &'r Import, key: Key, feed: &mut Feed<'r>) {
        let Some(prepared) = self.prepared(asking, import, feed) else { return };
        let (step, road, was_sent) = (prepared.step, prepared.road, prepared.was_sent);
        // It may be there: the destination is asked about this one, or a person looks.
        if was_sent && !matches!(road.unknown(prepared.item.way), UnknownOutcome::Retry) {
            return self.sent_before(prepared, feed);
        }
        let (mut item, member, now) = (prepared.item, prepared.member, prepared.now);
        let origin = item.origin.clone();
        let base = self.scope.context(&now, &origin);
        for _ in 0..2 {
            let filling = self.collecting.filling.entry(key).or_insert_with(|| Filling::new(step, road));
            let (takes, before) = (filling.batcher.takes(&item), filling.members.len());
            let refused = if takes { filling.batcher.add(item, &base).err() } else { Some((item, full())) };
            match refused {
                None => {
                    hold(feed, member.id);
                    filling.members.push(member);
                    if filling.batcher.is_full() {
                        self.close(key, feed);
                    }
                    return;
                }
                // It may be the batch that is too large, or of another kind, not the record.
                Some((back, EvalError::Limit(_))) if before > 0 => {
                    item = back;
                    self.close(key, feed);
                }
                Some((_, error)) => {
                    if before == 0 {
                        self.collecting.filling.remove(&key);
                    }
                    return self.give(vec![(member, Reply::Failed(Trouble::eval(&error)))], feed);
                }
            }
        }
    }

    /// A batch goes as it is.
    fn close(&mut self, key: Key, feed: &mut Feed<'r>) {
        let Some(filling) = self.collecting.filling.remove(&key) else { return };
        let Filling { step, road, mut batcher, members } = filling;
        for member in &members {
            release(feed, member.id);
        }
        let Some((first, now)) = members.first().and_then(|first| feed.walking(first.id)) else { return };
        let (origin, now) = (first.origin.clone(), now.to_owned());
        match batcher.take(&self.scope.context(&now, &origin)) {
            Ok(batch) => {
                self.rendered(Writing { members, step, road, batch, together: None }.numbered(self.scope), feed);
            }
            Err((_, error)) => {
                let reply = Reply::Failed(Trouble::eval(&error));
                self.give(members.into_iter().map(|member| (member, reply.clone())).collect(), feed);
            }
        }
    }

    /// Where nothing of a page moves any more, its first batch goes as it is. True when something went.
    pub(super) fn flush(&mut self, feed: &mut Feed<'r>) -> bool {
        let Collecting { filling, gathering, .. } = &self.collecting;
        if filling.is_empty() && gathering.is_empty() {
            return false;
        }
        let mut firsts: BTreeMap<u64, Key> = BTreeMap::new();
        for key in filling.keys().chain(gathering.keys()) {
            let first = firsts.entry(key.0).or_insert(*key);
            *first = (*first).min(*key);
        }
        let stuck = firsts.into_values().find(|key| feed.is_stuck(key.0, || self.walking_width()));
        if let Some(key) = stuck {
            self.regroup(key, feed);
            self.close(key, feed);
        }
        stuck.is_some()
    }

    /// One that waits for a batch of its own, or is settled here.
    fn sent_before(&mut self, prepared: Prepared<'r>, feed: &mut Feed<'r>) {
        let origin = prepared.item.origin.clone();
        let base = self.scope.context(&prepared.now, &origin);
        let Prepared { item, member, step, road, was_sent, .. } = prepared;
        let reply = match road.unknown(item.way) {
            UnknownOutcome::Park if was_sent => {
                // Now it is told: whoever tries it again has looked.
                self.books.waypoints.not_taken(self.scope, &member.record, &member.place);
                failed("unknown", crate::runtime::import::CUT_OFF.to_owned())
            }
            unknown => match road.alone(item, &base) {
                Ok(batch) => {
                    let asks = was_sent && matches!(unknown, UnknownOutcome::Check(_));
                    let batch = if asks { batch.asked_first() } else { batch };
                    let writing = Writing { members: vec![member], step, road, batch, together: None };
                    return self.rendered(writing, feed);
                }
                Err((_, error)) => Reply::Failed(Trouble::eval(&error)),
            },
        };
        self.give(vec![(member, reply)], feed);
    }

    fn alone(&mut self, asking: Asking<'r>, import: &'r Import, feed: &mut Feed<'r>) {
        if let Some(prepared) = self.prepared(asking, import, feed) {
            self.sent_before(prepared, feed);
        }
    }

    /// What the import makes of a record; none where that is an error, which it has been told.
    fn prepared(&mut self, asking: Asking<'r>, import: &'r Import, feed: &mut Feed<'r>) -> Option<Prepared<'r>> {
        let scope = self.scope;
        let Asking { id, need, .. } = asking;
        let (record, now) = feed.walking(id)?;
        let (record, now) = (record.clone(), now.to_owned());
        let again = record.error.as_ref().filter(|error| error.step == need.place).and_then(|error| error.key.clone());
        let unknown = is_unknown(&record, &need.place) && matches!(import.unknown, UnknownOutcome::Check(_));
        let was_sent = need.was_sent.is_some() || unknown;
        let key = need.was_sent.and_then(|sent| sent.key).or(again).map(String::into_boxed_str);
        let mut item = Item {
            record: need.ground.record,
            parent: need.ground.parent,
            part: need.ground.index,
            lookups: need.ground.lookups,
            key,
            ..record.clone()
        };
        let member = Member { id, record, place: need.place };
        let road = match Road::of(scope, import) {
            Ok(road) => road,
            Err(id) => {
                let text = format!("connection `{id}` is not part of this snapshot");
                self.give(vec![(member, failed("record", text))], feed);
                return None;
            }
        };
        if let Err(error) = road.admit(&mut item, &scope.context(&now, &member.record.origin)) {
            self.give(vec![(member, Reply::Failed(Trouble::eval(&error)))], feed);
            return None;
        }
        Some(Prepared { item, member, now, step: need.step, road, was_sent })
    }

    /// Gives records what became of them. What they ask next waits.
    pub(super) fn give(&mut self, replies: Replies, feed: &mut Feed<'r>) {
        for (member, reply) in replies {
            let asking = feed.reply(member.id, &member.place, reply, &mut self.books);
            self.asked.wait(asking);
        }
    }
}

/// A record as an import takes it.
struct Prepared<'r> {
    item: Item,
    member: Member,
    /// When it set out.
    now: String,
    step: &'r Step,
    road: Road<'r>,
    /// Whether it may have been sent before a restart.
    was_sent: bool,
}

impl<'r> Filling<'r> {
    fn new(step: &'r Step, road: Road<'r>) -> Self {
        Self { step, road, batcher: Batcher::new(road), members: Vec::new() }
    }
}

fn full() -> EvalError {
    EvalError::Limit("the batch takes no more".to_owned())
}

fn hold(feed: &mut Feed<'_>, id: u64) {
    if let Some(lineup) = feed.lineup() {
        lineup.hold(id);
    }
}

fn release(feed: &mut Feed<'_>, id: u64) {
    if let Some(lineup) = feed.lineup() {
        lineup.release(id);
    }
}

fn page_of(feed: &Feed<'_>, id: u64) -> u64 {
    feed.walking(id).map_or(0, |(item, _)| item.line)
}
