import { type SomeTurnSettings, TURN_BYTES_PER_SEC_MIN, type TurnSettings } from '@orama/protocol';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { integerOption } from '../../options.ts';
import { renderFields } from '../../output/table.ts';

/** The options of `addTurnOptions`, as commander gives them. */
export interface TurnOptions {
  peerPolicy?: TurnSettings['peerPolicy'];
  maxAllocations?: number | 'default';
  maxAllocationsPerUsername?: number | 'default';
  bytesPerSec?: number | 'none';
  allocationBytesPerSec?: number | 'none';
}

/** Adds what a namespace may ask of its TURN servers, for enable and set. */
export function addTurnOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--peer-policy <policy>',
        'whom TURN relays to: sfu (its own SFUs alone) or public (public addresses too, for mesh calls)',
      ).choices(['sfu', 'public']),
    )
    .option(
      '--max-allocations <count>',
      'TURN allocations on each TURN node, or default: its relay ports there',
      countOption,
    )
    .option('--max-allocations-per-username <count>', 'of them with one credential, or default: half', countOption)
    .option('--bytes-per-sec <bytes>', 'bytes a second TURN relays for it on each TURN node, or none', bytesOption)
    .option('--allocation-bytes-per-sec <bytes>', 'bytes a second TURN relays for one client, or none', bytesOption);
}

/** The settings among a command's options that were given. */
export function givenTurnSettings(options: TurnOptions): SomeTurnSettings {
  const { peerPolicy, maxAllocations, maxAllocationsPerUsername, bytesPerSec, allocationBytesPerSec } = options;
  const all = { peerPolicy, maxAllocations, maxAllocationsPerUsername, bytesPerSec, allocationBytesPerSec };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([name, value]) => [name, value === 'none' || value === 'default' ? null : value]),
  );
}

/** Settings as people read them. */
export function describeTurnSettings(settings: TurnSettings): string {
  return renderFields(turnSettingsFields(settings));
}

/** The same as fields of a longer list. */
export function turnSettingsFields(settings: TurnSettings): [name: string, value: string][] {
  const rate = (bytes: number | null) => (bytes === null ? 'unlimited' : `${bytes} bytes/s`);
  return [
    ['TURN peers', settings.peerPolicy === 'sfu' ? 'own SFUs' : 'own SFUs and public addresses'],
    ['TURN allocations', `${settings.maxAllocations} a node, ${settings.maxAllocationsPerUsername} a username`],
    ['TURN rate', `${rate(settings.bytesPerSec)} a node, ${rate(settings.allocationBytesPerSec)} a client`],
  ];
}

// Commander takes null for no value at all.
const bytesOption = integerOr('none', TURN_BYTES_PER_SEC_MIN, 1_000_000_000_000);
const countOption = integerOr('default', 1, 65_535);

function integerOr<W extends string>(word: W, min: number, max: number): (text: string) => number | W {
  const whole = integerOption(min, max);
  return (text) => {
    if (text === word) return word;
    try {
      return whole(text);
    } catch (thrown) {
      throw thrown instanceof InvalidArgumentError
        ? new InvalidArgumentError(`${thrown.message.slice(0, -1)}, or ${word}.`)
        : thrown;
    }
  };
}
