import './zod-without-eval.ts';
import type { Room } from '@orama/client';
import { Call } from './call.ts';
import { type CallOptions, readCallOptions, type SourceKind, withoutCredential } from './call-options.ts';
import { canShareScreen, SourceError } from './media/source.ts';
import type { PageStats } from './page-stats.ts';
import { listenForKeys } from './view/controls.ts';
import { element, showMessage } from './view/elements.ts';
import { explainError } from './view/texts.ts';

declare global {
  interface Window {
    /** The call of this page for tests and for the demo's check; undefined outside of a call. */
    orama?: { room: Room; stats(): Promise<PageStats> } | undefined;
  }
}

const given = readCallOptions(new URL(location.href));
history.replaceState(null, '', withoutCredential(new URL(location.href)));
const form = element<HTMLFormElement>('join-form');
const field = (name: string) => form.elements.namedItem(name) as HTMLInputElement | RadioNodeList;

element('host').textContent = location.host;
field('name').value = given.name;
field('room').value = given.room;
field('source').value = given.source;
if (given.apiKey || given.token) {
  element('key-field').hidden = true;
  (field('apiKey') as HTMLInputElement).required = false;
}
element('toggle-screen').hidden = !canShareScreen();
listenForKeys();

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void join({
    ...given,
    apiKey: given.apiKey || field('apiKey').value.trim(),
    name: field('name').value.trim(),
    room: field('room').value.trim(),
    source: field('source').value as SourceKind,
  });
});
if (given.autojoin && given.room && (given.apiKey || given.token)) void join({ ...given, name: given.name || 'guest' });

async function join(options: CallOptions): Promise<void> {
  const button = element<HTMLButtonElement>('join');
  button.disabled = true;
  button.textContent = 'Joining…';
  showMessage(element('lobby-message'), '');
  try {
    const call = await Call.start(options, (message) => {
      window.orama = undefined;
      show('lobby');
      showMessage(element('lobby-message'), message);
    });
    window.orama = { room: call.room, stats: () => call.stats() };
    document.title = `${options.room} – Orama call`;
    show('call');
  } catch (thrown) {
    if (thrown instanceof SourceError) offerSynthetic(thrown, options);
    else {
      // A key from the link that does not work must be replaceable by hand.
      element('key-field').hidden = false;
      showMessage(element('lobby-message'), explainError(thrown));
    }
  } finally {
    button.disabled = false;
    button.textContent = 'Join';
  }
}

function offerSynthetic(error: SourceError, options: CallOptions): void {
  showMessage(element('lobby-message'), error.message, {
    label: 'Use the test picture instead',
    run: () => {
      field('source').value = 'synthetic';
      void join({ ...options, source: 'synthetic' });
    },
  });
}

function show(view: 'lobby' | 'call'): void {
  element('lobby').hidden = view !== 'lobby';
  element('call').hidden = view !== 'call';
  if (view === 'lobby') document.title = 'Orama call';
  // What had the focus is hidden now; the keyboard goes on in the new view.
  element(view).focus();
}
