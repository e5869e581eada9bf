// The call of "orama doctor" alone, without what it looks at beside it. Prints what the call was.
//   node doctor-call.ts <gateway> <API key>
import { holdCall } from '../../cmd/orama/src/doctor/call.ts';

const [url = '', apiKey = ''] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await holdCall({ url, apiKey }, new AbortController().signal)));
