//! Who is in: so many connections at once, and who has to leave when somebody new comes and all places are taken.
//!
//! A connection that says nothing, or never the whole of a request, keeps nobody out: the one that waits longest makes
//! room. First those go that were answered already, since their owners connect again and lose nothing.

use crate::observe::event;
use crate::value::time::{Mono, SharedClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How long one who was asked to leave may take until another one is asked.
pub(super) const BREATH: Duration = Duration::from_millis(200);
/// How long a new one has for its first request before it may be asked to leave: many who come at once and speak at once
/// are a burst, not a siege.
const GRACE: Duration = Duration::from_secs(2);
/// Between two lines about it.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// All who are in.
pub(super) struct Hall {
    slots: Arc<Semaphore>,
    most: u32,
    guests: Mutex<Guests>,
    clock: SharedClock,
}

#[derive(Default)]
struct Guests {
    seated: BTreeMap<u64, Guest>,
    /// Numbers guests, and orders the moments since when they wait.
    next: u64,
    closed: u64,
    told: Option<Mono>,
}

/// A connection.
struct Guest {
    /// Requests whose answers are not complete.
    under_way: u32,
    /// Whether one was answered.
    served: bool,
    /// Since when it is waited for.
    since: u64,
    came: Mono,
    leave: CancellationToken,
}

/// A place of one connection; free again when dropped.
pub(super) struct Seat {
    hall: Arc<Hall>,
    number: u64,
    leave: CancellationToken,
    _slot: OwnedSemaphorePermit,
}

/// A request that is being answered, until its answer is complete.
pub(super) struct UnderWay {
    hall: Arc<Hall>,
    number: u64,
}

impl Hall {
    /// With so many places.
    pub(super) fn new(most: u32, clock: SharedClock) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX)));
        Arc::new(Self { slots, most, guests: Mutex::default(), clock })
    }

    /// A place, as soon as there is one; others make room.
    pub(super) async fn seat(self: &Arc<Self>) -> Option<Seat> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Some(self.welcome(slot));
        }
        loop {
            self.make_room();
            tokio::select! {
                slot = self.slots.clone().acquire_owned() => return slot.ok().map(|slot| self.welcome(slot)),
                () = self.clock.sleep_until(self.clock.mono().plus(BREATH)) => {}
            }
        }
    }

    /// Resolves when all have left.
    pub(super) async fn empty(&self) {
        let _ = self.slots.acquire_many(self.most).await;
    }

    fn welcome(self: &Arc<Self>, slot: OwnedSemaphorePermit) -> Seat {
        let mut guests = self.lock();
        let (number, leave) = (guests.tick(), CancellationToken::new());
        let came = self.clock.mono();
        let guest = Guest { under_way: 0, served: false, since: number, came, leave: leave.clone() };
        guests.seated.insert(number, guest);
        drop(guests);
        Seat { hall: self.clone(), number, leave, _slot: slot }
    }

    /// Asks the one to leave that is missed least; nobody whose request is being answered.
    fn make_room(&self) {
        let mut guests = self.lock();
        let now = self.clock.mono();
        let may_leave = |guest: &&Guest| guest.served || now.since(guest.came) >= GRACE;
        let waiting = guests.seated.values().filter(|guest| guest.under_way == 0 && !guest.leave.is_cancelled());
        let waiting = waiting.filter(may_leave);
        let Some(guest) = waiting.min_by_key(|guest| (!guest.served, guest.since)) else { return };
        guest.leave.cancel();
        guests.closed += 1;
        if guests.told.is_none_or(|told| now.since(told) >= TOLD_EVERY) {
            guests.told = Some(now);
            event::server_full(self.most, std::mem::take(&mut guests.closed));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guests {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Seat {
    /// To be called for each request that has come, head and all.
    pub(super) fn doorkeeper(&self) -> impl Fn() -> UnderWay + Clone + Send + Sync + 'static {
        let (hall, number) = (self.hall.clone(), self.number);
        move || UnderWay::begin(&hall, number)
    }

    /// Resolves when it has to make room.
    pub(super) async fn asked_to_leave(&self) {
        self.leave.cancelled().await;
    }

    /// Whether it can be cut without anything being lost: no request of it was ever heard.
    pub(super) fn is_unheard(&self) -> bool {
        self.hall.lock().seated.get(&self.number).is_none_or(|guest| !guest.served && guest.under_way == 0)
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.hall.lock().seated.get(&self.number).is_some_and(|guest| guest.under_way > 0)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hall.lock().seated.remove(&self.number);
    }
}

impl UnderWay {
    fn begin(hall: &Arc<Hall>, number: u64) -> Self {
        if let Some(guest) = hall.lock().seated.get_mut(&number) {
            guest.under_way += 1;
        }
        Self { hall: hall.clone(), number }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut guests = self.hall.lock();
        let now = guests.tick();
        if let Some(guest) = guests.seated.get_mut(&self.number) {
            guest.under_way = guest.under_way.saturating_sub(1);
            guest.served = true;
            guest.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time::SystemClock;

    fn leaving(seats: &[&Seat]) -> Vec<bool> {
        seats.iter().map(|seat| seat.leave.is_cancelled()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_answered_go_first_then_the_oldest_and_nobody_who_is_being_answered() {
        let hall = Hall::new(4, SystemClock::start());
        let busy = hall.seat().await.unwrap();
        let held = busy.doorkeeper()();
        let (old, young, answered) =
            (hall.seat().await.unwrap(), hall.seat().await.unwrap(), hall.seat().await.unwrap());
        drop(answered.doorkeeper()());
        assert!(old.is_unheard() && !answered.is_unheard() && busy.is_busy() && !answered.is_busy());
        let all = [&busy, &old, &young, &answered];
        assert_eq!(leaving(&all), [false; 4], "there is room");
        assert!(tokio::time::timeout(GRACE / 2, hall.seat()).await.is_err());
        assert_eq!(leaving(&all), [false, false, false, true], "others may speak yet");
        tokio::time::advance(GRACE).await;
        for expected in [[false, true, false, true], [false, true, true, true]] {
            assert!(tokio::time::timeout(BREATH / 2, hall.seat()).await.is_err(), "nobody left");
            assert_eq!(leaving(&all), expected);
        }
        assert!(tokio::time::timeout(BREATH * 3, hall.seat()).await.is_err());
        assert_eq!(leaving(&all), [false, true, true, true], "whoever is being answered stays");
        drop(held);
        drop(old);
        assert!(tokio::time::timeout(BREATH, hall.seat()).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_long_to_leave_keeps_nobody_waiting() {
        let hall = Hall::new(2, SystemClock::start());
        let (stuck, fine) = (hall.seat().await.unwrap(), hall.seat().await.unwrap());
        tokio::time::advance(GRACE).await;
        let leaves = async {
            fine.asked_to_leave().await;
            drop(fine);
        };
        let (seat, ()) = tokio::join!(hall.seat(), leaves);
        assert!(seat.is_some() && stuck.leave.is_cancelled());
        drop((seat, stuck));
        hall.empty().await;
        assert!(hall.lock().seated.is_empty());
    }
}
