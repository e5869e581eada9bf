import { fileURLToPath } from 'node:url';

/**
 * Folder of the built page, to be served as static files below one path that ends in `/`.
 * It works under `default-src 'self'; style-src 'self'; media-src 'self' blob: mediastream:; connect-src 'self' ws: wss:`.
 */
export const callPageDir: string = fileURLToPath(new URL('../dist/page', import.meta.url));
