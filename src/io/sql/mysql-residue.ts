/** What a statement may leave on its connection of MySQL, judged by its text: see `postgres-residue.ts`. Pure. */
import type { ScannedStatement } from './scanner.js';
import { Residue } from './sql.js';

const EVERYDAY = new Set(
  `select insert update delete replace with values table explain describe desc show begin start commit rollback savepoint release
  truncate analyze optimize check alter drop create grant revoke rename`.split(/\s+/),
);

/** Functions, and other words before a parenthesis, that leave nothing. */
const HARMLESS = new Set(
  `abs against all and any any_value as ascii avg benchmark between bin binary bit_and bit_or by cast ceil ceiling char
  char_length character_length check coalesce collate concat concat_ws connection_id conv convert count crc32 curdate current_date
  current_timestamp current_user curtime database date date_add date_format date_sub datediff day dayname dayofmonth dayofweek
  dayofyear decimal default dense_rank distinct div duplicate elt enum except exists exp extract field find_in_set first_value floor
  format found_rows from from_base64 from_days from_unixtime greatest group_concat having hex hour if ifnull in inet6_aton inet6_ntoa inet_aton
  inet_ntoa insert instr int intersect interval into isnull join json_array json_arrayagg json_contains json_extract json_length json_merge_patch
  json_object json_objectagg json_quote json_remove json_search json_set json_table json_unquote json_valid key lag last_day
  last_insert_id last_value lcase lead least left length like limit ln localtime locate log log10 log2 lower lpad ltrim
  make_set makedate maketime match max md5 microsecond mid min minute mod month monthname not now nth_value ntile nullif numeric oct
  octet_length on or ord over partition percent_rank period_add pi position pow power primary quarter quote rand rank regexp_like regexp_replace
  regexp_substr repeat replace reverse right round row row_count row_number rpad rtrim sec_to_time second select set sha sha1 sha2 sign
  sleep some soundex space sqrt std stddev str_to_date strcmp subdate substr substring substring_index sum sysdate table then time
  time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_days trim truncate ucase unhex union unique unix_timestamp
  update upper user using utc_date utc_time utc_timestamp uuid value values varchar variance version week weekday when where with year`.split(
    /\s+/,
  ),
);

export function residueOf({ text, words, calls }: ScannedStatement): Residue {
  const [command = ''] = words;
  if (command === 'set' && words[1] === 'transaction') return Residue.NONE;
  if (!EVERYDAY.has(command) || words.includes('temporary') || words.includes('get_lock')) return Residue.SESSION;
  // A variable of the session; an address in a string only makes it cautious.
  if (text.includes('@')) return Residue.PERHAPS;
  for (const call of calls) if (!HARMLESS.has(call) && !isTableName(words, call)) return Residue.PERHAPS;
  return Residue.NONE;
}

const BEFORE_TABLE = new Set(['into', 'table', 'exists', 'on', 'view', 'references', 'index']);

/** Whether a word is only ever the name of a table here. */
function isTableName(words: readonly string[], name: string): boolean {
  return words.every((word, at) => word !== name || BEFORE_TABLE.has(words[at - 1] ?? ''));
}
