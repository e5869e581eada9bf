/** One tab of a real browser. */
export interface BrowserPage {
  readonly browserName: 'chromium' | 'firefox';
  goto(url: string): Promise<void>;
  /** Runs a JavaScript expression in the page and returns its (awaited) JSON value. */
  evaluate<T>(expression: string): Promise<T>;
  /** Console errors and uncaught exceptions so far. */
  readonly errors: readonly string[];
  /** Closes the tab as a user would: the page gets its unload events. */
  close(): Promise<void>;
}

export interface BrowserDriver {
  readonly version: string;
  newPage(): Promise<BrowserPage>;
  close(): Promise<void>;
}

/** What a browser is told before it starts. */
export interface LaunchOptions {
  /** Certificate (PEM) of an authority to trust besides those it comes with. */
  authority?: string;
  /** Addresses of host names, in place of DNS. Firefox takes one address for all of them. */
  hosts?: Record<string, string>;
  /** Command that it is run by, such as `ip netns exec <name>`. Chromium only. */
  within?: readonly string[];
}
