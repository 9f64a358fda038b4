// The dashboard in Chromium, as a person uses it. PEER_SCENE says what is done; whatever is not as it should be ends this
// with a sentence. Nothing may go anywhere but to PEER_BASE, whatever the scene.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';

const { PEER_BASE: base, PEER_TOKEN: token, PEER_SCENE: scene, PEER_SHOTS: shots, PEER_CHROMIUM: executablePath } = process.env;
const { chromium } = createRequire(`${process.env.PEER_MODULES}/`)('playwright-core');
const facts = JSON.parse(process.env.PEER_FACTS ?? '{}');
const patience = 90_000;

const faults = [];
const expect = (holds, said) => { if (!holds) faults.push(said); };

const browser = await chromium.launch({
  executablePath,
  args: ['--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
});

/** A tab that is watched: what it asks for, what it complains of. `forgiven`: complaints that belong to the scene. */
async function tab(options = {}, forgiven = /^$/) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    expect(url.origin === base || url.protocol === 'data:', `it asked ${request.url()}`);
    expect(!token || !request.url().includes(token), `the token is in an address: ${request.url()}`);
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !forgiven.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`a fault of the page: ${error.stack}`));
  page.on('dialog', (dialog) => { faults.push(`a dialog of the browser: ${dialog.message()}`); dialog.dismiss(); });
  return page;
}

/** Goes to a place on the page and waits until it is there. */
async function visit(page, place, sign) {
  await page.goto(`${base}/${place}`);
  await page.waitForFunction(() => !document.querySelector('#main .loading'));
  if (sign) await page.getByText(sign).first().waitFor();
}

const unlock = (page) => page.goto(`${base}/#token=${token}`).then(() => page.waitForFunction(() => location.hash === '#/'));

/** Data stayed data. */
async function inert(page, name) {
  const found = await page.evaluate(() => ({
    ran: window.xss, violations: window.violations,
    made: [...document.querySelectorAll('#main img, #main script, #main iframe, #main object, #main style, #main form')].map((one) => one.outerHTML.slice(0, 80)),
    links: [...document.querySelectorAll('#main a')].map((one) => one.getAttribute('href')).filter((href) => !href.startsWith('#')),
    turned: /[\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText),
  }));
  expect(found.ran === undefined, `${name}: a payload ran`);
  expect(found.made.length === 0, `${name}: text became ${found.made}`);
  expect(found.links.length === 0, `${name}: links lead to ${found.links}`);
  expect(!found.turned, `${name}: text is turned around`);
  expect(found.violations.length === 0, `${name}: ${found.violations}`);
}

/** Nothing is wider than the window. */
async function fits(page, name) {
  const wide = await page.evaluate(() => {
    const most = document.documentElement.clientWidth;
    const over = [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > most + 1);
    return document.documentElement.scrollWidth > most ? over.slice(0, 4).map((one) => `${one.tagName}.${one.getAttribute('class')}`) : [];
  });
  expect(wide.length === 0, `${name}: wider than the window: ${wide}`);
}

const PLACES = () => [
  ['overview', '#/', 'Needs attention'],
  ['flow', '#/flows/eu/copy', 'Steps'],
  ['runs', '#/runs', 'Delivered'],
  ['run', `#/runs/${facts.run}`, 'Records settled'],
  ['connections', '#/connections', 'The API'],
  ['connection', '#/connections/api', 'In flight against the level'],
  ['errors', '#/errors', 'Retry all'],
  ['errors-of-a-kind', `#/errors?flow=eu%2Fcopy&fingerprint=${facts.fingerprint}`, 'What the API said'],
  ['error', `#/errors/${facts.error}`, 'As it was read'],
  ['reloads', '#/reloads', 'rejected'],
  ['reload', `#/reloads/${facts.reload}`, 'Diagnostics'],
];

const scenes = {
  /** Every page, in three looks; with screenshots. */
  async pages() {
    mkdirSync(shots, { recursive: true });
    const looks = {
      light: {}, dark: { colorScheme: 'dark' },
      phone: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
    };
    for (const [look, options] of Object.entries(looks)) {
      const page = await tab(options);
      await unlock(page);
      for (const [name, place, sign] of PLACES()) {
        await visit(page, place, sign);
        await inert(page, `${name} (${look})`);
        await fits(page, `${name} (${look})`);
        await page.screenshot({ path: `${shots}/${name}-${look}.png`, fullPage: true });
      }
      const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = colour.match(/\d+/g).slice(0, 3).every((part) => Number(part) > 200);
      expect(light === (look !== 'dark'), `${look} is ${colour}`);
      await page.context().close();
    }
  },

  /** What the pages say is what the process says. */
  async figures() {
    const page = await tab();
    await unlock(page);
    await visit(page, '#/', 'Needs attention');
    const row = page.locator('tr', { hasText: 'eu/copy' });
    await row.getByText('open errors').waitFor();
    expect((await row.innerText()).includes(facts.payload), 'the title is not shown as it is written');
    // Lines and their number are the same, also of what no state of a flow tells.
    await visit(page, '#/flows/slow', 'Run now');
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.locator('h1 .pill', { hasText: 'paused' }).waitFor();
    await visit(page, '#/', 'Needs attention');
    await page.locator('ul.attention li', { hasText: 'by hand' }).waitFor();
    const [lines, tile] = [await page.locator('ul.attention li').count(), await page.locator('.tile', { hasText: 'Need attention' }).locator('.tile-value').innerText()];
    expect(lines === 2 && tile === '2', `${lines} lines below, ${tile} need attention`);
    const daily = page.locator('tr', { hasText: 'daily' });
    const cell = (name) => daily.locator(`td[data-name="${name}"]`).innerText();
    const [success, next] = [await cell('Last success'), await cell('Next run')];
    expect(/(now|\d+ (s|min) ago)/.test(success) && /every 24 h/.test(success), `the last success is ${success}`);
    expect(/^in \d+ (s|min|h)/.test(next.trim()), `the next run is ${next}`);
    expect(await daily.locator('.fresh.good svg').count() === 1, 'how fresh it is is not drawn');
    await visit(page, '#/flows/daily', 'Steps');
    const part = (name) => page.locator(`svg.diagram [aria-label*=", ${name},"]`).getAttribute('aria-label');
    for (const [name, told] of [['first', /, 4 delivered/], ['later', /, 4 in · 3 out, 1 had arrived/], ['ledger', /, 3 delivered/]]) {
      const said = await part(name);
      expect(told.test(`${said}, `), `${name} says ${said}`);
    }
    await visit(page, '#/flows/eu/copy', 'Steps');
    const diagram = await page.locator('svg.diagram').innerText().catch(() => page.locator('svg.diagram').textContent());
    expect(/4 read/.test(diagram) && /2 delivered/.test(diagram) && /2 failed/.test(diagram), `the steps say ${diagram}`);
    expect(await page.locator('svg.history a').count() >= 1, 'no run on the time axis');
    await visit(page, `#/runs/${facts.run}`, 'Records settled');
    expect(await page.locator('svg.lanes rect.good').count() >= 1, 'no record on the time axis');
    await visit(page, `#/errors/${facts.error}`, 'As it was read');
    const record = await page.locator('pre').first().innerText();
    expect(record.includes('12345678901234567890'), `digits of a number are lost: ${record.slice(0, 300)}`);
    expect(record.includes('\\u202e'), 'a sign that turns text around is not shown as what it is');
    expect(record.length < 30_000, 'a record without end is shown whole');
    const sent = await page.locator('section[data-key="request"]').innerText();
    expect(/POST http:\/\/\S+\/taken/.test(sent), `the request is shown as ${sent.slice(0, 300)}`);
    await visit(page, '#/connections/api', 'In flight against the level');
    await page.getByRole('button', { name: 'Ping' }).click();
    await page.getByText('api: ok').waitFor();
    await page.locator('dd .pill', { hasText: 'ok' }).waitFor();
    await visit(page, `#/reloads/${facts.reload}`, 'Diagnostics');
    await page.locator('.finding', { hasText: 'flows/bad.toml:1:' }).waitFor();
    await page.getByText('1 error: what was in force stays').waitFor();
  },

  /** Without the token nothing can be done; with it one click sends a record again. */
  async retry() {
    // The browser says so itself of the wrong one.
    const page = await tab({}, /status of 401/);
    await visit(page, '#/errors', 'rejected 422');
    expect(await page.getByRole('button', { name: /Retry|Resolve/ }).count() === 0, 'actions without a token');
    await visit(page, `#/errors/${facts.error}`, 'Records are shown to who brings the token');
    expect(!(await page.content()).includes('12345678901234567890'), 'a record without a token');
    await page.getByRole('button', { name: 'Enter the token' }).last().click();
    const field = page.getByLabel('Token', { exact: true });
    await field.fill('not-it');
    await page.keyboard.press('Enter');
    await page.getByText('This token is not accepted.').waitFor();
    await field.fill(token);
    await page.keyboard.press('Enter');
    await page.getByText('As it was read').waitFor();
    expect(!page.url().includes(token), 'the token is in the address');
    const kept = await page.evaluate(() => JSON.stringify(localStorage));
    expect(!kept.includes(token), 'the token outlives its tab');
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByText('1 record is tried again').waitFor();
    await page.locator('h1 .pill', { hasText: 'delivered since' }).waitFor();
    // The other one is settled by hand, after being asked.
    await visit(page, `#/errors?flow=eu%2Fcopy&fingerprint=${facts.other}`, 'What the API said');
    await page.getByRole('button', { name: 'Resolve all' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Resolve all' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resolve' }).click();
    await page.getByText('1 record is settled by hand').waitFor();
    await visit(page, '#/errors', 'No open errors');
    await page.getByRole('button', { name: 'Forget the token' }).click();
    await page.getByRole('button', { name: 'Enter the token' }).first().waitFor();
  },

  /** Everything without a mouse. */
  async keyboard() {
    const page = await tab();
    await visit(page, '#/', 'Needs attention');
    const focused = () => page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      const { activeElement: one } = document;
      return { text: (one.innerText ?? one.textContent ?? '').trim(), label: one.getAttribute('aria-label'), shown: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0, id: one.id };
    });
    await page.keyboard.press('Tab');
    expect((await focused()).text === 'Skip to content', 'the first stop is not the way to the content');
    await page.keyboard.press('Enter');
    expect((await focused()).id === 'main', 'the content is not reached');
    let reached = null;
    for (let presses = 0; presses < 60 && !reached; presses += 1) {
      await page.keyboard.press('Tab');
      const now = await focused();
      expect(now.shown, `nobody sees that ${now.text || now.label} has the focus`);
      if (now.text.startsWith('Slow ones')) reached = now;
    }
    expect(reached, 'the flow is not reached with Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash === '#/flows/slow' && document.querySelector('h1')?.innerText.includes('Slow ones'));
    await page.waitForFunction(() => document.activeElement.tagName === 'H1');
    const names = await page.evaluate(() => [...document.querySelectorAll('button, a, input, svg[role]')].filter((one) => !(one.innerText ?? one.textContent).trim() && !one.getAttribute('aria-label')).map((one) => one.outerHTML.slice(0, 90)));
    expect(names.length === 0, `without a name: ${names}`);
    const theme = page.getByRole('button', { name: /Colours/ });
    await theme.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.documentElement.dataset.theme) === 'dark', 'the colours are not turned');
    await page.reload();
    await page.waitForFunction(() => getComputedStyle(document.body).backgroundColor === 'rgb(14, 17, 22)');
  },

  /** What happens shows by itself; the run stands still at a gate meanwhile. */
  async live() {
    const page = await tab();
    await unlock(page);
    await visit(page, '#/flows/slow', 'Run now');
    await page.getByText('live', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Run now' }).click();
    await page.getByText('Running now').waitFor();
    await page.getByRole('button', { name: 'Stop run' }).waitFor();
    await page.getByRole('button', { name: 'Run now' }).waitFor({ state: 'detached' });
    // All permits are out, and what waits says why.
    await page.evaluate(() => { location.hash = '#/connections/api'; });
    await page.getByText('all permits are out').first().waitFor();
    expect(await page.locator('svg.places rect.own').count() === 2, 'in flight is not drawn');
    process.stdout.write('standing\n');
    await page.evaluate(() => { location.hash = '#/flows/slow'; });
    await page.locator('tr .pill', { hasText: 'succeeded' }).waitFor();
    await page.getByText('12 delivered').first().waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.locator('h1 .pill', { hasText: 'paused' }).waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.locator('h1 .pill', { hasText: 'paused' }).waitFor({ state: 'detached' });
  },

  /** One place lent, one taken, a queue behind them; and an API that told to wait. */
  async waiting() {
    const page = await tab();
    await unlock(page);
    await visit(page, '#/connections/api', 'In flight against the level');
    const level = page.locator('section[data-key="level"]');
    await level.getByText('1 own').waitFor();
    await level.getByText('1 by borrowers').waitFor();
    const drawn = [await level.locator('svg.places rect.own').count(), await level.locator('svg.places rect.borrowed').count()];
    expect(drawn.join() === '1,1', `own and borrowed places are drawn as ${drawn}`);
    const row = async (flow) => {
      const cells = await page.locator('section[data-key="queue"] tbody tr').filter({ has: page.getByRole('link', { name: flow, exact: true }) }).locator('td').allInnerTexts();
      return cells.map((text) => text.trim());
    };
    const [slow, lent] = [await row('slow'), await row('lent')];
    expect(slow[1] === 'api' && slow[2] === '1' && Number(slow[3]) > 0 && /^\d.* s$|min/.test(slow[4]), `the queue says ${slow}`);
    expect(lent[1] === 'reports' && lent[2] === '1' && lent[3] === '0' && lent[4] === '–', `of who borrows it says ${lent}`);
    await visit(page, '#/connections/reports', 'borrowed from');
    await visit(page, '#/connections/shop', 'In flight against the level');
    const fact = (name) => page.locator('section[data-key="facts"] dl > div').filter({ has: page.locator('dt', { hasText: new RegExp(`^${name}$`) }) }).locator('dd').innerText();
    const [token, pause] = [await fact('Token'), await fact('Pause')];
    expect(/expires\s+in 2 h/.test(token) && /renewed in 1 h/.test(token), `the token ${token}`);
    expect(/^[1-4] min.* more$/.test(pause), `the pause is ${pause}`);
    expect(await page.locator('h1 .pill', { hasText: 'paused' }).count() === 1, 'the head does not say that it is paused');
    await visit(page, '#/', 'Needs attention');
    await page.locator('ul.attention li', { hasText: 'the API asked to wait' }).waitFor();
    await visit(page, `#/runs/${facts.limited}`, 'Told to pause');
    expect(await page.locator('svg.lanes rect.pause').count() >= 1, 'no pause on the time axis');
    const lane = await page.locator('svg.lanes g[aria-label^="Told to pause"]').getAttribute('aria-label');
    expect(/Told to pause: \d.* in all/.test(lane), lane);
  },

  /** A server that shows nothing without its token. */
  async locked() {
    const page = await tab({}, /status of 401/);
    await page.goto(`${base}/`);
    await page.getByText('A token is needed').waitFor();
    expect(!(await page.content()).includes('eu/copy'), 'something is shown without the token');
    await page.getByRole('button', { name: 'Enter the token' }).last().click();
    await page.getByLabel('Token', { exact: true }).fill('wrong');
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page.getByText('This token is not accepted.').waitFor();
    await page.getByLabel('Token', { exact: true }).fill(token);
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page.getByText('Needs attention').first().waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    // The tab keeps it over a reload; another one does not have it.
    await page.reload();
    await page.getByText('Needs attention').first().waitFor();
    const other = await tab({}, /status of 401/);
    await other.goto(`${base}/`);
    await other.getByText('A token is needed').waitFor();
  },

  /** Very many flows: the browser gets them in parts. */
  async many() {
    const page = await tab();
    await visit(page, '#/', 'Show more');
    const rows = () => page.locator('tbody tr').count();
    const first = await rows();
    expect(first === 300, `${first} rows at once`);
    await page.locator('ul.attention li', { hasText: 'flow650' }).waitFor();
    const tile = await page.locator('.tile', { hasText: 'Need attention' }).locator('.tile-value').innerText();
    expect(tile === '1', `${tile} need attention`);
    await page.getByRole('button', { name: /Show more/ }).click();
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 600);
    await page.getByRole('searchbox').fill('flow641');
    await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
    expect(await page.evaluate(() => document.activeElement.type) === 'search', 'typing is interrupted');
    await page.keyboard.type('x');
    await page.getByText('No flow is like that').waitFor();
  },
};

try {
  await scenes[scene]();
} catch (error) {
  faults.push(error.stack);
  for (const context of browser.contexts()) for (const page of context.pages()) {
    faults.push(`the page: ${(await page.locator('body').innerText().catch(() => '')).slice(0, 3_000)}`);
    await page.screenshot({ path: `${shots}/failed-${scene}.png` }).catch(() => {});
  }
}
await browser.close();
if (faults.length) {
  console.error([...new Set(faults)].join('\n'));
  process.exit(1);
}
