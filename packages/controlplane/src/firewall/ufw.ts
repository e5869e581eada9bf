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
 * comes first. A rule that the operator has himself is his: it is not added again, and not taken away. That holds whatever
 * his does: ufw has one rule for one port, and would put ours in the place of his `deny` or `limit`.
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
    return compareRules(wanted, await runTool('ufw', ['show', 'added']));
  }

  async add(rule: FirewallRule): Promise<void> {
    const before = rule.action === 'deny' ? ['prepend'] : [];
    await runTool('ufw', [...before, ...wordsOf(rule), 'comment', rule.tag]);
  }

  async remove(tags: readonly string[]): Promise<void> {
    // One after the other: of two that run at once one undoes what the other did.
    for (const added of parseAdded(await runTool('ufw', ['show', 'added'])))
      if (added.tag !== null && tags.includes(added.tag))
        await runTool('ufw', ['--force', 'delete', ...added.words.split(' ')]);
  }
}

/**
 * Compares with what `ufw show added` tells, also while ufw is not at work: the rules take effect with it. Pure.
 * @param shown its output
 */
export function compareRules(wanted: readonly FirewallRule[], shown: string): FirewallChanges {
  const added = parseAdded(shown);
  const ours = added.flatMap(({ tag }) => tag ?? []);
  const foreign = new Map(added.flatMap(({ tag, words }) => (tag === null ? [[placeOf(words), words]] : [])));
  const changes: FirewallChanges = { add: [], remove: [], overruled: [] };
  for (const rule of wanted) {
    if (ours.includes(rule.tag)) continue;
    const words = wordsOf(rule).join(' ');
    const by = foreign.get(placeOf(words));
    if (by === undefined) changes.add.push(rule);
    else if (actionOf(by) !== rule.action) changes.overruled.push({ tag: rule.tag, by });
  }
  const tags = new Set(wanted.map(({ tag }) => tag));
  changes.remove = ours.filter((tag) => !tags.has(tag));
  return changes;
}

function parseAdded(text: string): Added[] {
  return text.split('\n').flatMap((line) => {
    const [, words, comment = ''] = /^ufw (?!show)(.*?)(?: comment '(.*)')?$/.exec(line) ?? [];
    return words === undefined ? [] : [{ words, tag: comment.startsWith(TAG_PREFIX) ? comment : null }];
  });
}

function actionOf(words: string): string {
  return words.split(' ', 1)[0] as string;
}

/** What a rule is about: of two that differ only in what they do, or log, ufw keeps the later one. */
function placeOf(words: string): string {
  return words.replace(/^(?:allow|deny|reject|limit)\b/, '').replace(/ log(?:-all)?\b/, '');
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
