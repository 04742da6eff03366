/** Traffic for the pool to be tried on: which script each request asks for. The same in every run. */
import { randomNumbers } from '../statistics.mjs';

const SEED = 20090;

/**
 * @typedef {object} Traffic
 * @property {string} name
 * @property {Int32Array} requests script numbers, in order
 */

/**
 * Numbers from 0 in which number k comes up in proportion to 1/(k+1)^exponent.
 * @param {number} count @param {number} exponent @param {() => number} random
 */
function zipf(count, exponent, random) {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank += 1) {
    sum += (rank + 1) ** -exponent;
    sums[rank] = sum;
  }
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** @param {number} count @param {() => number} random @returns {Int32Array} 0 to count - 1 in random order */
function shuffled(count, random) {
  const order = Int32Array.from({ length: count }, (_, index) => index);
  for (let index = count - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [order[index], order[other]] = [order[other], order[index]];
  }
  return order;
}

/**
 * @param {number} scripts
 * @param {number} length requests of each
 * @returns {Traffic[]}
 */
export function makeTraffic(scripts, length) {
  const random = randomNumbers(SEED);
  const made = (/** @type {string} */ name, /** @type {(index: number) => number} */ request) => ({
    name,
    requests: Int32Array.from({ length }, (_, index) => request(index)),
  });

  const steep = zipf(scripts, 1, random);
  const flat = zipf(scripts, 0.7, random);
  const hot = zipf(scripts / 20, 0.7, random);
  /** A site whose popularity is dealt out anew after each `period`. @param {number} period */
  const shifting = (period) => {
    let order = shuffled(scripts, random);
    return (/** @type {number} */ index) => {
      if (index > 0 && index % period === 0) order = shuffled(scripts, random);
      return order[steep()];
    };
  };
  let sweep = 0;
  const nextOfSweep = () => {
    sweep = (sweep + 1) % scripts;
    return sweep;
  };
  const looped = Math.floor(scripts / 8);
  const section = Math.floor(scripts / 12);

  return [
    made('Zipf, exponent 1', steep),
    made('Zipf, exponent 0.7', flat),
    made('half a hot set, half one sweep after another', () => (random() < 0.5 ? hot() : nextOfSweep())),
    made('Zipf, with a sweep now and then', (index) => (index % 50_000 < scripts ? index % 50_000 : steep())),
    made('a loop a quarter larger than the pool', (index) => index % looped),
    made('Zipf, all new after every 200,000', shifting(200_000)),
    made('Zipf, all new after every 20,000', shifting(20_000)),
    made('Zipf, all new after every 5,000', shifting(5_000)),
    made('one section of the site, then another', (index) => {
      return Math.floor(random() * section) + (index < length / 2 ? 0 : section);
    }),
  ];
}
