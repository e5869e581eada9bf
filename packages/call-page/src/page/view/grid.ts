import { tileWidth } from './layout.ts';
import { Tile } from './tile.ts';

const GAP_PX = 12;

/** The tiles, each as large as fits. */
export class Grid {
  readonly #root: HTMLElement;
  readonly #tiles = new Map<string, Tile>();
  readonly #onBlocked: () => void;
  readonly #resize: ResizeObserver;

  constructor(root: HTMLElement, onBlocked: () => void) {
    this.#root = root;
    this.#onBlocked = onBlocked;
    this.#resize = new ResizeObserver(() => this.#layOut());
    this.#resize.observe(root);
  }

  get(key: string): Tile | undefined {
    return this.#tiles.get(key);
  }

  add(key: string, name: string, kind: { isSelf?: boolean; isScreen?: boolean; isMirrored?: boolean } = {}): Tile {
    const known = this.#tiles.get(key);
    if (known) return known;
    const { isSelf = false, isScreen = false, isMirrored = false } = kind;
    const tile = new Tile(name, { isSelf, isScreen, isMirrored }, this.#onBlocked);
    this.#tiles.set(key, tile);
    this.#root.append(tile.root);
    this.#layOut();
    return tile;
  }

  remove(key: string): void {
    this.#tiles.get(key)?.remove();
    if (this.#tiles.delete(key)) this.#layOut();
  }

  /** After a click: every tile but our own plays with sound. */
  unblock(selfKey: string): void {
    for (const [key, tile] of this.#tiles) if (!key.startsWith(selfKey)) tile.unblock();
  }

  close(): void {
    this.#resize.disconnect();
    for (const key of [...this.#tiles.keys()]) this.remove(key);
  }

  #layOut(): void {
    const { clientWidth, clientHeight } = this.#root;
    const width = tileWidth(this.#tiles.size, clientWidth, clientHeight, GAP_PX);
    this.#root.style.setProperty('--tile-width', `${width}px`);
  }
}
