import type { Rule } from '../rule.ts';
import { allocateRules } from './allocate.ts';
import { authenticationRules } from './authentication.ts';
import { channelRules } from './channels.ts';
import { dataRules } from './data.ts';
import { ipv6Rules } from './ipv6.ts';
import { limitRules } from './limits.ts';
import { messageRules } from './messages.ts';
import { permissionRules } from './permissions.ts';
import { refreshRules } from './refresh.ts';
import { sha256Rules } from './sha256.ts';
import { streamRules } from './streams.ts';

/** Every rule, by what it is about. */
export const CHAPTERS: readonly { readonly title: string; readonly rules: readonly Rule[] }[] = [
  { title: 'Messages and Binding', rules: messageRules },
  { title: 'Authentication', rules: authenticationRules },
  { title: 'Password algorithms', rules: sha256Rules },
  { title: 'Allocate', rules: allocateRules },
  { title: 'Refresh', rules: refreshRules },
  { title: 'Permissions', rules: permissionRules },
  { title: 'Channels', rules: channelRules },
  { title: 'Send and Data', rules: dataRules },
  { title: 'TCP and TLS', rules: streamRules },
  { title: 'IPv6', rules: ipv6Rules },
  { title: 'Limits', rules: limitRules },
];

export const RULES: readonly Rule[] = CHAPTERS.flatMap(({ rules }) => rules);
