/** Loaded before each test file (scripts/test.mjs): property tests begin with the seed in LUAFCGID_TEST_SEED. */
import fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.LUAFCGID_TEST_SEED) });
