/** What a request asks for and who asks, as it is shown to operators: without the query, which may carry secrets. */
import { toShortText } from '../../base/bounded-text.js';
import { decodeParams } from '../../fcgi/session.js';
import type { Asked } from '../../logging/line.js';
import type { FrontRequest } from './request.js';

export function askedOf({ cgi }: FrontRequest): Asked {
  const params = decodeParams(cgi.params);
  const uri = params.get('REQUEST_URI') || `${params.get('SCRIPT_NAME') ?? ''}${params.get('PATH_INFO') ?? ''}`;
  const query = uri.indexOf('?');
  return {
    method: toShortText(cgi.method),
    path: toShortText(query < 0 ? uri : uri.slice(0, query)),
    client: toShortText(params.get('REMOTE_ADDR') ?? ''),
  };
}
