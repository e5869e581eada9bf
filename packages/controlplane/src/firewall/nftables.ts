import { isIPv6 } from 'node:net';
import { OramaError } from '@orama/core';
import { runTool } from '../run-tool.ts';
import { type Firewall, type FirewallChanges, type FirewallRule, TAG_PREFIX } from './firewall.ts';
import {
  type ClosedChain,
  closedByHand,
  closedChains,
  isOfIptables,
  isOwnTable,
  OWN,
  parseRuleset,
  programOf,
  type Rule,
  type Ruleset,
  rulesIn,
} from './ruleset.ts';

/**
 * nft(8). A packet comes in only when every base chain of the input hook lets it: so what is allowed is put into each
 * chain that is closed, whoever made it, before the rule that refuses the rest or else at the end: refusals of the
 * operator that stand before it hold. What is refused stands in a table of our own. A ruleset that is loaded anew takes
 * our rules away; the next look puts them back.
 */
export class Nftables implements Firewall {
  readonly lookMs = 5_000;

  /** Whether some chain lets in only what it names, and what would have to be opened by hand. */
  static async look(): Promise<{ isClosed: boolean; byHand: string | null }> {
    const ruleset = await readRuleset().catch(() => null);
    if (!ruleset) return { isClosed: false, byHand: null };
    const closed = closedChains(ruleset);
    return { isClosed: closed.length > 0 && !closed.some(isOfIptables), byHand: closedByHand(ruleset) };
  }

  async compare(wanted: readonly FirewallRule[]): Promise<FirewallChanges> {
    const ruleset = await readRuleset();
    const closed = closedChains(ruleset);
    if (wanted.length > 0) refuseIptables(closed);
    const tags = new Set(wanted.map(({ tag }) => tag));
    const ours = ruleset.rules.flatMap((rule) => (isOurs(rule) ? [rule.comment] : []));
    return {
      add: wanted.filter((rule) => placesWithout(ruleset, rule).length > 0),
      remove: [...new Set(ours)].filter((tag) => !tags.has(tag)),
      // Whatever the operator refuses stands before ours, and both are there.
      overruled: [],
    };
  }

  async add(rule: FirewallRule): Promise<void> {
    const lines = placesWithout(await readRuleset(), rule).map(({ lastRule, ...chain }) => {
      const place = `${chain.family} ${chain.table} ${chain.name}`;
      const where = lastRule === null ? `add rule ${place}` : `insert rule ${place} position ${lastRule}`;
      return `${where} ${expressionOf(rule)} comment "${rule.tag}"`;
    });
    if (rule.action === 'deny') {
      const { family, table, name } = OWN;
      lines.unshift(
        `add table ${family} ${table}`,
        `add chain ${family} ${table} ${name} { type filter hook input priority filter; policy accept; }`,
      );
    }
    await nft(lines);
  }

  async remove(tags: readonly string[]): Promise<void> {
    const { rules, chains } = await readRuleset();
    const isMeant = ({ comment = '' }: Rule) => tags.includes(comment);
    const lines = rules
      .filter(isMeant)
      .map(({ family, table, chain, handle }) => `delete rule ${family} ${table} ${chain} handle ${handle}`);
    const left = rules.filter((rule) => isOwnTable(rule) && !isMeant(rule));
    if (left.length === 0 && chains.some(isOwnTable)) lines.push(`delete table ${OWN.family} ${OWN.table}`);
    await nft(lines);
  }
}

async function readRuleset(): Promise<Ruleset> {
  return parseRuleset(await runTool('nft', ['--json', '--terse', 'list', 'ruleset']));
}

/** All lines or none. */
async function nft(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await runTool('nft', ['--file', '-'], { input: `${lines.join('\n')}\n` });
}

/** Where the rule has to stand and does not. */
function placesWithout(ruleset: Ruleset, { action, tag }: FirewallRule): ClosedChain[] {
  const places = action === 'deny' ? [{ ...OWN, lastRule: null }] : closedChains(ruleset);
  return places.filter((place) => !rulesIn(ruleset, place).some(({ comment }) => comment === tag));
}

function isOurs(rule: Rule): rule is Rule & { comment: string } {
  return rule.comment?.startsWith(TAG_PREFIX) ?? false;
}

function refuseIptables(closed: readonly ClosedChain[]): void {
  const chain = closed.find(isOfIptables);
  if (!chain) return;
  throw new OramaError(
    'PRECONDITION_FAILED',
    `${programOf(chain)} keeps ports closed, where a rule of nft would break it`,
    {
      hint: 'set firewall.driver to ufw where that is its master; else to none, and open the ports of docs/operations.md there',
    },
  );
}

function expressionOf({ action, ports, interface: name, to }: FirewallRule): string {
  const range = ports && (ports.from === ports.to ? `${ports.from}` : `${ports.from}-${ports.to}`);
  return [
    ...(name === undefined ? [] : [`iifname "${name}"`]),
    ...(to === undefined ? [] : [`${isIPv6(to) ? 'ip6' : 'ip'} daddr ${to}`]),
    ...(ports ? [`${ports.protocol} dport ${range}`] : []),
    action === 'allow' ? 'accept' : 'drop',
  ].join(' ');
}
