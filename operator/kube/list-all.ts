import { hasCode } from '../errors.ts';
import type { KubeObject, Resource } from '../ports.ts';
import type { RestClient } from './rest-client.ts';

/** client-go's page size: large enough to be few calls, small enough to parse without holding up the process. */
const PAGE_SIZE = 500;

export interface CollectionQuery {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface Collection {
  readonly items: KubeObject[];
  /** The snapshot that all items are of; a watch from here misses nothing. */
  readonly resourceVersion: string;
}

/**
 * The newest state of a whole collection, one snapshot, read in pages. When the snapshot expires between two pages
 * (etcd compaction) it is read anew in one answer, which cannot expire. All or nothing: a missing page is a throw.
 */
export async function listAll(
  client: Pick<RestClient, 'list'>,
  resource: Resource,
  query: CollectionQuery,
  signal: AbortSignal,
): Promise<Collection> {
  const first = await client.list(resource, { ...query, limit: PAGE_SIZE });
  const { items, resourceVersion } = first;
  let next = first.continue;
  try {
    while (next !== undefined) {
      signal.throwIfAborted();
      const page = await client.list(resource, { ...query, limit: PAGE_SIZE, continue: next });
      for (const item of page.items) items.push(item);
      next = page.continue;
    }
    return { items, resourceVersion };
  } catch (error) {
    if (hasCode(error, 'Gone')) return await client.list(resource, query);
    throw error;
  }
}
