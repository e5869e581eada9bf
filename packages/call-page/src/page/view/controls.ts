import { element } from './elements.ts';

/** Texts and icon of a button that is on or off. */
interface Face {
  icon: string;
  label: string;
  title: string;
}

const FACES: Record<string, { off: Face; on: Face }> = {
  'toggle-mic': {
    off: { icon: 'mic', label: 'Mute', title: 'Mute microphone (M)' },
    on: { icon: 'mic-off', label: 'Unmute', title: 'Unmute microphone (M)' },
  },
  'toggle-camera': {
    off: { icon: 'camera', label: 'Stop video', title: 'Stop video (V)' },
    on: { icon: 'camera-off', label: 'Start video', title: 'Start video (V)' },
  },
  'toggle-screen': {
    off: { icon: 'screen', label: 'Share', title: 'Share screen (S)' },
    on: { icon: 'screen', label: 'Stop sharing', title: 'Stop sharing the screen (S)' },
  },
};

const KEYS: Record<string, string> = { m: 'toggle-mic', v: 'toggle-camera', s: 'toggle-screen' };

export type ToggleId = 'toggle-mic' | 'toggle-camera' | 'toggle-screen';

/** Draws a toggle as pressed or not. */
export function showToggle(id: ToggleId, pressed: boolean): void {
  const button = element<HTMLButtonElement>(id);
  const face = FACES[id]?.[pressed ? 'on' : 'off'];
  if (!face) return;
  button.setAttribute('aria-pressed', String(pressed));
  button.title = face.title;
  button.querySelector('use')?.setAttribute('href', `#icon-${face.icon}`);
  const label = button.querySelector('span');
  if (label) label.textContent = face.label;
}

/** One key each for the buttons of the call, while nobody types into a field. Pressing a hidden button does nothing. */
export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const button = document.getElementById(KEYS[event.key.toLowerCase()] ?? '');
    if (button?.checkVisibility()) button.click();
  });
}
