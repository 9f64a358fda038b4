//! A report job: ordered once, asked about until it is done, fetched file by file. What its order was answered stands in
//! the cursor before anybody asks again, so that a run that goes on waits for the report it has ordered.

use super::cursor::{Cursor, Head, Kept, MOST_KEPT};
use super::page::Page;
use super::{Arrived, ReadError, Reader, cancelled, lasting_hash, paging};
use crate::http::exchange::Answer;
use crate::http::media;
use crate::http::request::{Prepared, RequestSpec};
use crate::model::flow::Durability;
use crate::model::report::{Download, Report};
use crate::runtime::stage;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::json::Kind;
use crate::value::record::Record;
use crate::value::time::show_duration;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Most files of one report.
const MOST_FILES: usize = 10_000;

/// How far a report is, as it travels in the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What the order was answered.
    created: Kept,
    /// When.
    at: DateTime<Utc>,
    /// What the last question was answered, once the report is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polled: Option<Kept>,
    /// Where its files are, when that was found in the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    /// Files fetched.
    #[serde(default)]
    fetched: usize,
}

impl Reader<'_> {
    /// The next page of a report: its order, or a file of it.
    pub(super) async fn read_report(&mut self, job: &Report) -> Result<Option<Arrived>, ReadError> {
        let before = self.cursor();
        let Some(mut place) = self.job.take() else { return self.order(job, before).await.map(Some) };
        let created = self.kept(&place.created)?;
        if place.polled.is_none() {
            let done = self.wait(job, place.at, &created).await?;
            place.files =
                job.download.as_ref().map(|download| self.files(download, &done)).transpose()?.unwrap_or_default();
            place.polled = Some(self.keep(&done)?);
        }
        let Some(polled) = place.polled.as_ref().map(|polled| self.kept(polled)).transpose()? else { return Ok(None) };
        let by_uri = job.download.as_ref().is_some_and(|download| download.uri.is_some());
        let count = if by_uri { place.files.len() } else { 1 };
        let number = place.fetched as u64 + 2;
        if place.fetched >= count {
            self.ended = !self.next_window();
            return Ok(None);
        }
        let page = match &job.download {
            None => self.page_of(number, polled)?,
            Some(download) => self.fetch(download, &place, (&created, &polled), number).await?,
        };
        place.fetched += 1;
        let is_last = place.fetched >= count;
        self.job = (!is_last).then_some(place);
        let arrived = self.arrive(page, before);
        if is_last && !self.ended {
            self.ended = !self.next_window();
        }
        Ok(Some(Arrived { cursor: self.cursor(), ..arrived }))
    }

    /// Orders the report. Its answer is a page without records: what is stored of it leads to the report.
    async fn order(&mut self, job: &Report, before: Cursor) -> Result<Arrived, ReadError> {
        let answer = self.ask(&job.create, None, |_, _| Ok(())).await?;
        let page = self.answered(1, answer, Vec::new());
        let (created, at) = (self.keep(&page)?, self.course.scope.clock.utc());
        self.job = Some(Place { created, at, polled: None, files: Vec::new(), fetched: 0 });
        Ok(self.arrive(page, before))
    }

    /// The order of a report, as it leaves.
    pub(super) fn prepare_order(&self, job: &Report) -> Result<Prepared, ReadError> {
        let now = self.course.scope.now();
        self.timed(&self.course.context(&now), |ctx| Ok(job.create.prepare(ctx, &self.course.lane.client)?))
    }

    /// Asks how far it is until it is done. Nothing is held meanwhile.
    async fn wait(&self, job: &Report, since: DateTime<Utc>, created: &Page) -> Result<Page, ReadError> {
        let clock = &self.course.scope.clock;
        loop {
            clock.sleep_until(clock.mono().plus(job.every)).await;
            let answer = self.ask(&job.poll, Some((created, None)), |_, _| Ok(())).await?;
            let status = match &answer.document {
                Some(body) => {
                    let found = body.select(&job.status).map_err(|error| error.at("job.status"))?;
                    found.selection().first().map(|value| value.compare_text().into_owned())
                }
                None => None,
            };
            let Some(status) = status else {
                let text = format!("job.status: `{}` is not in the answer", job.status.source());
                return Err(ReadError::Eval(EvalError::Missing(text)));
            };
            if job.done.contains(&status) {
                return Ok(self.answered(0, answer, Vec::new()));
            }
            let shown: String = self.course.lane.client.clean(&status).chars().take(80).collect();
            if job.failed.contains(&status) {
                return Err(ReadError::Stuck(format!("the report failed: its status is `{shown}`")));
            }
            let took = (clock.utc() - since).to_std().unwrap_or_default();
            if took >= job.timeout {
                return Err(ReadError::Stuck(format!(
                    "the report is not done after {} (`job.timeout`): its status is `{shown}`",
                    show_duration(took)
                )));
            }
        }
    }

    /// Where the files of a report are.
    fn files(&self, download: &Download, done: &Page) -> Result<Vec<String>, ReadError> {
        let Some(uri) = &download.uri else { return Ok(Vec::new()) };
        let now = self.course.scope.now();
        let ctx = self.course.context(&now);
        let ctx = match &done.body {
            Some(body) => ctx.with(Root::Item, Slot::Json(body.view())),
            None => ctx,
        };
        let found = done.as_previous(ctx, |ctx| uri.json(ctx)).map_err(|error| error.at("job.download.uri"))?;
        let text = |value: crate::value::json::JsonRef<'_>| value.as_str().map(std::borrow::Cow::into_owned);
        let found = found.map(|found| match found.as_ref().kind() {
            Kind::Array => found.as_ref().items().map(text).collect::<Option<Vec<_>>>(),
            Kind::Null => Some(Vec::new()),
            _ => text(found.as_ref()).map(|one| vec![one]),
        });
        let files = found.unwrap_or_default().ok_or_else(|| {
            EvalError::Type("job.download.uri: it gives something else than a URI or a list of them".to_owned())
        })?;
        if files.len() > MOST_FILES {
            let text = format!("job.download.uri: {} files, and at most {MOST_FILES} are fetched", files.len());
            return Err(ReadError::Eval(EvalError::Limit(text)));
        }
        Ok(files)
    }

    async fn fetch(
        &self,
        download: &Download,
        place: &Place,
        (created, polled): (&Page, &Page),
        number: u64,
    ) -> Result<Page, ReadError> {
        let settings = self.course.lane.client.settings();
        let file = place.files.get(place.fetched);
        let answer = self
            .ask(&download.request, Some((polled, Some(created))), |prepared, _| {
                if let Some(file) = file {
                    prepared.set_url(paging::resolve(
                        file,
                        &polled.url,
                        &settings.base_uri,
                        &settings.allowed_origins,
                    )?);
                }
                prepared.bare = download.bare;
                Ok(())
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            // A rule passes over the file.
            Err(ReadError::Request(failure)) if failure.is_nothing() => {
                let status = failure.status.unwrap_or_default();
                return Ok(Page {
                    number,
                    place: number,
                    status,
                    body: None,
                    bytes: 0,
                    headers: Vec::new(),
                    ..polled.clone()
                });
            }
            Err(error) => return Err(error),
        };
        let page = self.answered(number, answer, Vec::new());
        let page = self.page_of(number, page)?;
        stage::answered(self.course.scope, &self.course.lane.client, &self.course.export.name, &page);
        Ok(page)
    }

    /// The page with the records in its body.
    fn page_of(&self, number: u64, page: Page) -> Result<Page, ReadError> {
        let records: Vec<Record> = self.course.split(number, page.body.as_ref())?;
        Ok(Page { records: records.into(), number, place: number, ..page })
    }

    fn answered(&self, number: u64, answer: Answer, records: Vec<Record>) -> Page {
        let headers = answer.header_pairs();
        Page {
            number,
            place: number,
            origin: self.origin(),
            bytes: answer.document.as_ref().map_or(0, |document| document.text().len()),
            body: answer.document,
            records: records.into(),
            status: answer.status,
            headers,
            url: answer.url,
            joins: false,
        }
    }

    /// What a page is stored with; a limit and a delta look at its records.
    fn arrive(&mut self, mut page: Page, before: Cursor) -> Arrived {
        let kept = usize::try_from(self.course.quota.take(page.records.len() as u64)).unwrap_or(usize::MAX);
        if kept < page.records.len() {
            page.records = page.records[..kept].to_vec().into();
        }
        self.taken += page.records.len() as u64;
        self.ended = self.course.quota.is_spent();
        self.join(&mut page);
        let (judged, _) = self.watch.as_mut().map(|watch| watch.look(&page.records)).unwrap_or_default();
        let hash = (self.course.scope.flow.durability == Durability::Checkpoint)
            .then(|| lasting_hash(page.body.as_ref().map_or(&[][..], |body| body.text().as_bytes())));
        let head = Head::with(&page, self.lasting_headers(&page), before, hash);
        Arrived { cursor: self.cursor(), page, head, judged }
    }

    /// One request. `previous` is the page before it, and the answer to the order behind that.
    async fn ask(
        &self,
        spec: &RequestSpec,
        previous: Option<(&Page, Option<&Page>)>,
        change: impl FnOnce(&mut Prepared, &Context<'_>) -> Result<(), ReadError>,
    ) -> Result<Answer, ReadError> {
        let super::Course { scope, lane, .. } = self.course;
        let prepared = {
            let now = scope.now();
            let render = |ctx: &Context<'_>| {
                let mut prepared = spec.prepare(ctx, &lane.client)?;
                prepared.safe = true;
                change(&mut prepared, ctx)?;
                Ok::<_, ReadError>(prepared)
            };
            let offered = |ctx: &Context<'_>| match previous {
                Some((page, created)) => page.as_previous_of(created, *ctx, render),
                None => render(ctx),
            };
            self.timed(&self.course.context(&now), offered)?
        };
        let flow = &scope.flow;
        let asked = async {
            let permit = scope.queue.acquire(&lane.line, &flow.id, flow.weight).await.map_err(|_| cancelled())?;
            stage::asked(scope, &lane.client, (&self.course.export.name, self.pager.ask().page), &prepared);
            let answer = lane.client.exchange(permit, &prepared, spec.response.as_ref(), true).await;
            answer.map_err(|failure| ReadError::Request(Box::new(failure)))
        };
        scope.trace.request(self.course.purpose("order", None), asked).await
    }

    fn keep(&self, page: &Page) -> Result<Kept, ReadError> {
        let kept = (page.bytes <= MOST_KEPT).then(|| Kept::of(page, self.masked_headers(page)));
        kept.ok_or_else(|| {
            let most = MOST_KEPT >> 10;
            ReadError::Stuck(format!("the answer to a report's order or question is larger than {most} KiB"))
        })
    }

    fn kept(&self, kept: &Kept) -> Result<Page, ReadError> {
        let settings = &self.course.lane.client.settings().media;
        let reopen = |_, kind, body: Option<Vec<u8>>| {
            let body = body.filter(|body| !body.is_empty());
            let document = body.map(|body| media::reopen(kind, body, settings)).transpose();
            document.map(|document| (document, Vec::new()))
        };
        kept.clone().page(self.course.origin.clone(), &reopen).map_err(ReadError::Stored)
    }
}
