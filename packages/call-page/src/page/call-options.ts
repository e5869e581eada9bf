/** Where the picture comes from. */
export type SourceKind = 'camera' | 'synthetic';

/** What the address of the page asks for. */
export interface CallOptions {
  apiKey: string;
  token: string;
  room: string;
  name: string;
  source: SourceKind;
  /** Join at once, without the form. */
  autojoin: boolean;
}

/**
 * Reads `#api_key=...&room=...&name=...&source=camera|synthetic&autojoin=1`. The fragment never leaves the browser;
 * the same in the query is taken too, the fragment winning.
 */
export function readCallOptions(address: URL): CallOptions {
  const fragment = new URLSearchParams(address.hash.replace(/^#/, ''));
  const read = (name: string) => fragment.get(name) ?? address.searchParams.get(name) ?? '';
  return {
    apiKey: read('api_key'),
    token: read('token'),
    room: read('room'),
    name: read('name'),
    source: read('source') === 'synthetic' ? 'synthetic' : 'camera',
    autojoin: read('autojoin') === '1',
  };
}

/** The address without its credential, for the address bar: it must not stay on a shared screen. */
export function withoutCredential(address: URL): string {
  const clean = new URL(address);
  const fragment = new URLSearchParams(clean.hash.replace(/^#/, ''));
  for (const name of ['api_key', 'token']) {
    clean.searchParams.delete(name);
    fragment.delete(name);
  }
  clean.hash = fragment.toString();
  return clean.href;
}
