/** Every rule of ours says so, and what it is for, in its comment. */
export const TAG_PREFIX = 'orama ';

/** One rule that the machine's firewall is to have. */
export interface FirewallRule {
  /** The whole rule in words, its comment: two rules with one tag are the same. */
  tag: string;
  action: 'allow' | 'deny';
  /** All ports of all protocols unless given. */
  ports?: { protocol: 'tcp' | 'udp'; from: number; to: number };
  /** The interface that packets come in by; any unless given. */
  interface?: string;
  /** The address that they go to; any unless given. */
  to?: string;
}

/** What makes a firewall have our rules and no others of ours. */
export interface FirewallChanges {
  add: FirewallRule[];
  /** Tags. */
  remove: string[];
  /** What is not added, because a rule of the operator (`by`, as his firewall words it) already says otherwise. */
  overruled: { tag: string; by: string }[];
}

/** The firewall of a machine, of which only rules of ours are touched. */
export interface Firewall {
  /** How often it is looked at while nothing else is wanted: somebody may have loaded its rules anew. */
  readonly lookMs: number;
  /** Looks. Throws what the operator has to mend first. */
  compare(wanted: readonly FirewallRule[]): Promise<FirewallChanges>;
  /** Adds a rule; one that is there already does no harm. */
  add(rule: FirewallRule): Promise<void>;
  /** Takes rules away; none does no harm. */
  remove(tags: readonly string[]): Promise<void>;
}
