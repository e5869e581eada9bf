import { runTool } from '../run-tool.ts';
import { type Firewall, type FirewallChanges, type FirewallRule, TAG_PREFIX } from './firewall.ts';

/** A rule as `ufw show added` tells it: a command line. */
interface Added {
  /** Without the comment. */
  words: string;
  /** Its comment, where that is ours. */
  tag: string | null;
}

/**
 * ufw(8). Rules are added behind those that are there, so that what an operator denies stays denied; a refusal of ours
 * comes first. A rule that the operator has himself is his: it is not added again, and not taken away.
 */
export class Ufw implements Firewall {
  // It keeps what it was told, and each look takes a quarter of a second.
  readonly lookMs = 60_000;

  /** Whether it is installed and at work. */
  static async isActive(): Promise<boolean> {
    const status = await runTool('ufw', ['status']).catch(() => '');
    return /^Status: active/m.test(status);
  }

  async compare(wanted: readonly FirewallRule[]): Promise<FirewallChanges> {
    const added = await readAdded();
    const tags = new Set(wanted.map(({ tag }) => tag));
    const there = new Set(added.flatMap(({ tag, words }) => (tag === null ? [words] : [tag])));
    return {
      add: wanted.filter((rule) => !there.has(rule.tag) && !there.has(wordsOf(rule).join(' '))),
      remove: added.flatMap(({ tag }) => (tag === null || tags.has(tag) ? [] : [tag])),
    };
  }

  async add(rule: FirewallRule): Promise<void> {
    const before = rule.action === 'deny' ? ['prepend'] : [];
    await runTool('ufw', [...before, ...wordsOf(rule), 'comment', rule.tag]);
  }

  async remove(tag: string): Promise<void> {
    for (const added of await readAdded())
      if (added.tag === tag) await runTool('ufw', ['--force', 'delete', ...added.words.split(' ')]);
  }
}

/** Also while it is not at work: the rules take effect with it. */
async function readAdded(): Promise<Added[]> {
  const text = await runTool('ufw', ['show', 'added']);
  return text.split('\n').flatMap((line) => {
    const [, words, comment = ''] = /^ufw (?!show)(.*?)(?: comment '(.*)')?$/.exec(line) ?? [];
    return words === undefined ? [] : [{ words, tag: comment.startsWith(TAG_PREFIX) ? comment : null }];
  });
}

/** The rule as ufw itself writes it, so that one of the operator is found to be the same. */
function wordsOf({ action, ports, interface: name, to }: FirewallRule): string[] {
  const range = ports && (ports.from === ports.to ? `${ports.from}` : `${ports.from}:${ports.to}`);
  if (name === undefined && to === undefined && ports) return [action, `${range}/${ports.protocol}`];
  return [
    ...[action, 'in', ...(name === undefined ? [] : ['on', name]), 'to', to ?? 'any'],
    ...(ports ? ['port', `${range}`, 'proto', ports.protocol] : []),
  ];
}
