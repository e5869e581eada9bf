import type { MediaSource } from './source.ts';

const WIDTH = 640;
const HEIGHT = 360;
const FRAMES_PER_SEC = 25;
/** Quiet, but well above what counts as silence. */
const VOLUME = 0.04;

/** A number from 0 to 359 that is the same for the same text. */
function hueOf(text: string): number {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return hash % 360;
}

/** A picture that moves and a tone, for machines without a camera: a sweeping bar, a clock and the name. */
export function openSynthetic(name: string): MediaSource {
  const picture = openPicture(name);
  const tone = openTone(name);
  return {
    video: picture.track,
    audio: tone.track,
    stop: () => {
      picture.stop();
      tone.stop();
    },
  };
}

function openPicture(name: string): { track: MediaStreamTrack | undefined; stop(): void } {
  const canvas = document.createElement('canvas');
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = canvas.getContext('2d', { alpha: false });
  let frame = 0;
  const draw = () => context && drawFrame(context, name, frame++);
  draw();
  const [track] = canvas.captureStream(FRAMES_PER_SEC).getVideoTracks();
  // An interval, not an animation frame: those stop as soon as the page is hidden.
  const timer = setInterval(draw, 1000 / FRAMES_PER_SEC);
  return {
    track,
    stop: () => {
      clearInterval(timer);
      track?.stop();
    },
  };
}

function drawFrame(context: CanvasRenderingContext2D, name: string, frame: number): void {
  const hue = hueOf(name);
  const sky = context.createLinearGradient(0, 0, WIDTH, HEIGHT);
  sky.addColorStop(0, `hsl(${hue} 55% 32%)`);
  sky.addColorStop(1, `hsl(${(hue + 50) % 360} 60% 16%)`);
  context.fillStyle = sky;
  context.fillRect(0, 0, WIDTH, HEIGHT);

  const sweep = (frame / (FRAMES_PER_SEC * 4)) % 1;
  context.fillStyle = `hsl(${(hue + 180) % 360} 80% 65% / 0.55)`;
  context.fillRect(sweep * (WIDTH + 80) - 80, 0, 80, HEIGHT);

  context.fillStyle = '#fff';
  context.textAlign = 'center';
  context.font = '600 40px system-ui, sans-serif';
  context.fillText(name || 'guest', WIDTH / 2, HEIGHT / 2 - 12, WIDTH - 60);
  context.font = '500 34px ui-monospace, monospace';
  context.fillText(new Date().toISOString().slice(11, 22), WIDTH / 2, HEIGHT / 2 + 44);
}

function openTone(name: string): { track: MediaStreamTrack | undefined; stop(): void } {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 220 + hueOf(name) });
  const volume = new GainNode(context, { gain: VOLUME });
  const output = new MediaStreamAudioDestinationNode(context);
  tone.connect(volume).connect(output);
  tone.start();
  // Without a gesture the browser keeps the context suspended; the first one starts it.
  const resume = () => void context.resume().catch(() => {});
  for (const gesture of ['pointerdown', 'keydown']) addEventListener(gesture, resume, { once: true });
  const [track] = output.stream.getAudioTracks();
  return {
    track,
    stop: () => {
      track?.stop();
      context.close().catch(() => {});
    },
  };
}
