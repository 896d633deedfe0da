/** What a request to the Kubernetes API asks, read from its method and path alone, as the API server's RequestInfo does. */
export interface KubernetesRequest {
  readonly verb: string;
  /** Plural, with the subresource: `jobs`, `jobs/status`; `''` for paths that are no resource. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  /** Checked by the server, but not carried out. */
  readonly isDryRun: boolean;
  /** When it came in, on this process's monotonic clock. */
  readonly atMs: number;
}

/** Which requests a rule is about; what is left out matches everything. */
export interface RequestMatch {
  readonly verb?: string;
  readonly resource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

const WRITE_VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
};

export function parseKubernetesRequest(method: string, url: string): KubernetesRequest {
  const { pathname, searchParams } = new URL(url, 'https://proxy');
  const segments = pathname.split('/').filter((segment) => segment !== '');
  const rest = segments[0] === 'api' ? segments.slice(2) : segments.slice(3);
  const isNamespaced = rest[0] === 'namespaces' && rest.length > 2;
  const namespace = isNamespaced ? rest[1] : undefined;
  const [plural = '', name, subresource] = isNamespaced ? rest.slice(2) : rest;
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  const isWatch = searchParams.get('watch') === 'true' || searchParams.get('watch') === '1';
  const isDryRun = searchParams.has('dryRun');
  const verb = verbOf(method, name, isWatch);
  return { verb, resource, namespace, name, isDryRun, atMs: performance.now() };
}

/** What a request is called in a sequence of calls: `create jobs`. */
export function kubernetesCallKind({ verb, resource, isDryRun }: KubernetesRequest): string {
  return `${verb} ${resource}${isDryRun ? ' (dry run)' : ''}`;
}

export function matchesRequest(match: RequestMatch, request: KubernetesRequest): boolean {
  return (
    (match.verb === undefined || match.verb === request.verb) &&
    (match.resource === undefined || match.resource === request.resource) &&
    (match.namespace === undefined || match.namespace === request.namespace) &&
    (match.name === undefined || match.name === request.name)
  );
}

function verbOf(method: string, name: string | undefined, isWatch: boolean): string {
  if (method === 'DELETE') return name === undefined ? 'deletecollection' : 'delete';
  if (method !== 'GET') return WRITE_VERBS[method] ?? method.toLowerCase();
  if (isWatch) return 'watch';
  return name === undefined ? 'list' : 'get';
}
