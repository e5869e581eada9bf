import {
  type BrowserDriver,
  CallPage,
  LocalCluster,
  launchChromium,
  launchFirefox,
  type NamespaceAccess,
  waitUntil,
} from '@orama/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

/** Data channels of the SDK between Chromium and Firefox, through TURN and the SFU. */
let cluster: LocalCluster;
let access: NamespaceAccess;
let chromium: BrowserDriver;
let firefox: BrowserDriver;
let open: CallPage[] = [];

beforeAll(async () => {
  [cluster, chromium, firefox] = await Promise.all([
    LocalCluster.start({ prefix: 47 }),
    launchChromium(),
    launchFirefox(),
  ]);
  access = await cluster.createEnabled('wires');
});
afterEach(async () => {
  await Promise.all(open.map((page) => page.close()));
  open = [];
});
afterAll(async () => {
  await Promise.all([chromium?.close(), firefox?.close()]);
  await cluster?.stop();
});

/** Keeps what comes on channels of others, and answers on those for this page alone. */
const LISTEN = `(() => { const listen = ({ channel, from, direct }) => {
  channel.binaryType = 'arraybuffer';
  channel.onmessage = ({ data }) => {
    const message = typeof data === 'string' ? data : [...new Uint8Array(data)];
    const delivery = [channel.ordered, channel.maxRetransmits];
    (window.got ??= []).push({ label: channel.label, from: from.name, direct, delivery, message });
    if (direct) channel.send('answer to ' + data);
  };
  channel.onclose = () => (window.ended ??= []).push(channel.label);
};
orama.room.receivedChannels.forEach(listen);
orama.room.on('channel', listen);
})()`;

/** Opens a channel and sends what `messages` evaluates to. */
const send = (page: CallPage, label: string, options: string, messages: string) =>
  page.tab.evaluate(`orama.room.openChannel('${label}', ${options}).then((channel) => {
    channel.onmessage = ({ data }) => (window.answers ??= []).push(data);
    for (const message of ${messages}) channel.send(message);
    (window.channels ??= {})['${label}'] = channel;
  })`);

const got = (page: CallPage) => page.tab.evaluate<unknown[]>('window.got ?? []');

async function join(driver: BrowserDriver, name: string): Promise<CallPage> {
  const page = await CallPage.join(driver, access, { room: 'wires', name });
  open.push(page);
  return page;
}

test('channels opened once media flows reach the other browser as they should, answers come back, and whoever is late gets them', async () => {
  const [ada, bob] = [await join(chromium, 'Ada'), await join(firefox, 'Bob')];
  await Promise.all([ada.waitMedia(1), bob.waitMedia(1)]);
  for (const [sender, receiver] of [
    [ada, bob],
    [bob, ada],
  ] as const) {
    await receiver.tab.evaluate(LISTEN);
    const to = await receiver.tab.evaluate<string>('orama.room.peerId');
    await send(sender, 'chat', '{}', `['hello', new Uint8Array([1, 2, 3])]`);
    await send(sender, 'state', '{ ordered: false, maxRetransmits: 0 }', `['42']`);
    await send(sender, 'secret', `{ to: '${to}' }`, `['psst']`);
    const all = await waitUntil(
      `${receiver.name} to have four messages`,
      () => got(receiver),
      (messages) => messages.length === 4,
    );
    const from = sender.name;
    const expected = [
      { label: 'chat', from, direct: false, delivery: [true, null], message: 'hello' },
      { label: 'chat', from, direct: false, delivery: [true, null], message: [1, 2, 3] },
      { label: 'state', from, direct: false, delivery: [false, 0], message: '42' },
      { label: 'secret', from, direct: true, delivery: [true, null], message: 'psst' },
    ];
    expect(all).toEqual(expect.arrayContaining(expected));
    await waitUntil(
      'the answer',
      () => sender.tab.evaluate<unknown>('window.answers ?? []'),
      (answers) => JSON.stringify(answers) === '["answer to psst"]',
    );
  }
  const cem = await join(firefox, 'Cem');
  await cem.waitMedia(2);
  await cem.tab.evaluate(LISTEN);
  const labels = `orama.room.receivedChannels.map(({ channel, from }) => from.name + ' ' + channel.label).sort()`;
  await waitUntil(
    'Cem to have the channels that are for everybody',
    () => cem.tab.evaluate<string[]>(labels),
    (all) => all.join() === 'Ada chat,Ada state,Bob chat,Bob state',
  );
  await ada.tab.evaluate(`void window.channels.chat.send('for all')`);
  await waitUntil(
    'Cem to have what came after it, and nothing from before',
    () => got(cem),
    (messages) => messages.length > 0,
  );
  expect(await got(cem)).toEqual([
    { label: 'chat', from: 'Ada', direct: false, delivery: [true, null], message: 'for all' },
  ]);
  await ada.tab.evaluate('void window.channels.chat.close()');
  for (const page of [bob, cem])
    await waitUntil(
      `${page.name}'s copy to end`,
      () => page.tab.evaluate<string[]>('window.ended ?? []'),
      (ended) => ended.join() === 'chat',
    );
});
