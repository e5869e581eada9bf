// Must be the first import: zod compiles its parsers with `new Function`, which a strict Content-Security-Policy
// refuses and reports. It looks at this setting when it is loaded.
(globalThis as { __zod_globalConfig?: { jitless: boolean } }).__zod_globalConfig = { jitless: true };

export {};
