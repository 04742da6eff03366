/**
 * What a statement may leave on its connection of PostgreSQL, judged by its text. Pure.
 *
 * The server does not tell. So a statement that is none of the everyday ones counts as one that leaves something, and so does
 * a call of a function that is not known to leave nothing: it may set a setting or take a lock inside.
 */
import type { ScannedStatement } from './scanner.js';
import { Residue } from './sql.js';

const EVERYDAY = new Set(
  'select insert update delete merge with values table explain begin start commit end rollback abort savepoint release show truncate analyze vacuum comment alter drop grant revoke refresh reindex cluster'.split(
    ' ',
  ),
);

/** Functions, and other words before a parenthesis, that leave nothing. */
const HARMLESS = new Set(
  `abs all and any array array_agg array_length array_position array_remove array_to_json array_to_string as ascii avg
  between bit_length bool_and bool_or btrim by cardinality ceil ceiling char char_length check coalesce concat concat_ws
  conflict count cube current_date current_time current_timestamp current_user date current_database current_setting date_part date_trunc decimal decode dense_rank
  distinct div encode every except exists exp extract filter first_value float floor format from gen_random_uuid generate_series
  generate_subscripts greatest grouping having in initcap insert intersect into is json_agg json_array_elements json_build_array
  json_build_object json_each json_object_agg json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length
  jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg jsonb_path_exists
  jsonb_path_query jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_typeof justify_interval key lag last_value lateral lead
  least left length like limit ln localtime log lower lpad ltrim make_date make_interval make_timestamp materialized max md5 min mod not now ntile
  nth_value nullif numeric octet_length offset on only or over overlay partition percent_rank percentile_cont percentile_disc
  pg_backend_pid pg_column_size pg_sleep pg_typeof pi plainto_tsquery position power primary quote_ident quote_literal random range rank references
  regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table repeat replace returning
  reverse right rollup round row row_number row_to_json rpad rtrim select set sets sign similarity some split_part
  sqrt starts_with string_agg string_to_array strpos substr substring sum table then timestamp to_char to_date to_json to_jsonb
  to_number to_timestamp to_tsquery to_tsvector translate trim trunc ts_headline ts_rank union unique unnest
  update upper using values varchar variance version websearch_to_tsquery when where with within xmlagg`.split(/\s+/),
);

/** What a script that uses it counts on afterwards. */
const KEPT = /^(?:set_config|pg_(?:try_)?advisory_lock(?:_shared)?|dblink_connect)$/;

export function residueOf({ words, calls }: ScannedStatement): Residue {
  const [command = ''] = words;
  if (words.some((word) => KEPT.test(word))) return Residue.SESSION;
  if (command === 'set' && words[1] === 'transaction') return Residue.NONE;
  if (
    command === 'set' ||
    command === 'listen' ||
    command === 'prepare' ||
    command === 'declare' ||
    command === 'load'
  ) {
    return Residue.SESSION;
  }
  // "create temporary table", "select … into temp t", "create table pg_temp.t"
  if (words.includes('temp') || words.includes('temporary') || words.includes('pg_temp')) return Residue.SESSION;
  if (command !== 'create' && !EVERYDAY.has(command)) return Residue.SESSION;
  for (const call of calls) {
    // After "insert into t (…)", "create table t (…)" and the like stands a name, which may just be a function's.
    if (!HARMLESS.has(call) && !isTableName(words, call)) return Residue.PERHAPS;
  }
  return Residue.NONE;
}

const BEFORE_TABLE = new Set(['into', 'table', 'exists', 'on', 'view', 'references']);

/** Whether a word is only ever the name of a table here. */
function isTableName(words: readonly string[], name: string): boolean {
  return words.every((word, at) => word !== name || BEFORE_TABLE.has(words[at - 1] ?? ''));
}
