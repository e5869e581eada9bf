import { type Check, type Finding, ok } from '../check.ts';

/** What anybody but the owner may do. */
const OTHERS = 0o077;

export const secretFiles: Check = {
  id: 'secret-files',
  question: 'may nobody but their owner read the files that hold secrets?',
  needs: ['nodes'],
  judge: ({ nodes }) =>
    [...nodes.values()].flatMap(({ node, secretFiles: files }): Finding[] => {
      const open = files.filter(({ mode, isForeign }) => (mode & OTHERS) !== 0 || isForeign);
      if (open.length === 0) return [ok(`${files.length} files, for their owners alone`, { node })];
      return open.map(({ path, mode, isForeign }) => ({
        severity: 'critical',
        node,
        seen: isForeign
          ? `${path} belongs to somebody else than root and our services`
          : `${path} has mode ${mode.toString(8).padStart(4, '0')}`,
        mend: `on ${node}: ${isForeign ? `ls -l ${path}; chown root` : 'chmod go='} ${path}; who could read it meanwhile knows the secret`,
      }));
    }),
};
