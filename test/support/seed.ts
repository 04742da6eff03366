/** Loaded before each test file when LUAFCGID_TEST_SEED is set (scripts/test.mjs): property tests replay that seed. */
import fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.LUAFCGID_TEST_SEED) });
