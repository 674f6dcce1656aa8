// People at browsers: each has a window of their own, in which everything that goes wrong unseen is noted.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, afterEach } from 'node:test';
import { chromium } from 'playwright-core';
import { eventually } from '../../js/support/wait.js';

/** Pictures of what was seen, for people to look at. */
const SHOTS = fileURLToPath(new URL('../shots/', import.meta.url));
const BROWSER = fileURLToPath(new URL('../../../scripts/chromium.sh', import.meta.url));
/** Nothing but the page: no look at the network by the browser itself. As root it has no sandbox. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const LOOK = { viewport: { width: 1180, height: 760 }, locale: 'en-GB', reducedMotion: 'reduce' };
/** A network or a server that the test has taken away is no fault of the page. */
const OUTAGE = /net::ERR_|WebSocket connection to|status of 503/u;
const WAIT_MS = 40_000;

/** None: the one that playwright-core knows of. */
const executablePath = spawnSync(BROWSER, { encoding: 'utf8' }).stdout.trim() || undefined;

let browser;
let people = [];

after(() => browser?.close());
afterEach(async () => {
  const left = people;
  people = [];
  await Promise.all(left.map(({ context }) => context.close()));
});

/** A window on the page. `faults`: errors of the page, and requests to others; `withoutFaults` at the end of a test. */
export class Window {
  faults = [];
  /** How often the list of conversations has been fetched: at the beginning, for each session, and when something happens. */
  lists = 0;
  /** Packets that end an upgrade to WebSocket; a network that goes away before is noticed by the heartbeat only. */
  upgrades = 0;

  /** `prepare(context)`: before the page is there. */
  static async open(url, options = {}, prepare = () => {}) {
    browser ??= await chromium.launch({ executablePath, args: FLAGS });
    const window = new Window();
    window.url = url;
    window.context = await browser.newContext({ ...LOOK, ...options });
    window.context.setDefaultTimeout(WAIT_MS);
    await prepare(window.context);
    window.page = await window.context.newPage();
    window.#watch();
    people.push(window);
    await window.page.goto(url);
    return window;
  }

  #watch() {
    const { page } = this;
    page.on('pageerror', (error) => this.faults.push(error.stack));
    page.on('console', (message) => {
      if (message.type() === 'error' && !OUTAGE.test(message.text())) this.faults.push(message.text());
    });
    page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => (this.upgrades += payload === '5')));
    page.on('requestfinished', (request) => (this.lists += request.url().endsWith('/api/chat/conversations')));
    page.on('request', (request) => {
      if (new URL(request.url()).host !== new URL(this.url).host) this.faults.push(`a request to ${request.url()}`);
    });
  }

  /** With a token, where there are no demo users. */
  static async of(url, user, options, prepare) {
    const window = await Window.open(url, options, prepare);
    await window.page.getByLabel('Token').fill(user.token);
    await window.page.getByRole('button', { name: 'Open the chat' }).click();
    await window.isConnected();
    return window;
  }

  async openConversation(other) {
    await this.linkTo(other).click();
    await this.page.getByRole('heading', { name: other.full_name }).waitFor();
    await this.page.getByText('This is where the conversation begins.').or(this.rows.first()).first().waitFor();
  }

  async isConnected(returned) {
    const again = returned ? `[data-returned="${returned}"]` : '';
    await this.page.locator(`#connection[data-state="connected"]${again}`).waitFor({ state: 'attached' });
  }

  async isUpgraded() {
    await eventually(() => this.upgrades > 0, 'upgrade to WebSocket', { limit: WAIT_MS });
  }

  async isLost() {
    await this.page.locator('#connection:not([data-state="connected"])').waitFor({ state: 'attached' });
  }

  async say(text) {
    await this.composer.fill(text);
    await this.composer.press('Enter');
  }

  get composer() {
    return this.page.getByRole('textbox', { name: /^Message to/ });
  }

  get rows() {
    return this.page.locator('#rows .message');
  }

  /** The messages on the page, in its order. */
  texts() {
    return this.page.locator('#rows .message .text').allTextContents();
  }

  /** The message with this text, once it is there in this state: `sent`, `read`, `failed` … */
  async has(text, state) {
    const rows = this.rows.filter({ has: this.page.getByText(text, { exact: true }) });
    const row = state ? rows.and(this.page.locator(`[data-state="${state}"]`)) : rows;
    await row.first().waitFor();
    return row.first();
  }

  /** In the list of conversations. */
  linkTo(other) {
    return this.page.getByRole('navigation', { name: 'Conversations' }).getByRole('link', { name: other.full_name });
  }

  badge(other) {
    return this.linkTo(other).locator('.badge');
  }

  async shot(name) {
    mkdirSync(SHOTS, { recursive: true });
    await this.page.screenshot({ path: `${SHOTS}${name}.png` });
  }

  withoutFaults() {
    assert.deepEqual(this.faults, []);
  }
}
