import type { KubeObject } from '../../../operator/ports.ts';
import { type ApiServer, resourceOf } from '../kubernetes/api-server.ts';

/** What a worker in a Job's pod would find, read from the Job's own pod template. */
export interface JobContents {
  readonly messageIds: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
}

/**
 * Reads the messages file as the kubelet would mount it: from the annotation of the pod template, or from the Secret
 * that its volume names. Undefined when there is no such file, or when the Secret is missing.
 */
export function contentsOf(job: KubeObject, api: ApiServer): JobContents | undefined {
  const template = Object(Object(Object(job['spec'])['template']));
  const spec = Object(template['spec']);
  const environment = environmentOf(spec);
  const text = messagesFile(template, spec, job.metadata.namespace ?? '', api);
  if (text === undefined) return undefined;
  const records: unknown = JSON.parse(text);
  if (!Array.isArray(records)) return undefined;
  return { messageIds: records.map((record) => String(Object(record)['messageId'])), environment };
}

function environmentOf(spec: unknown): ReadonlyMap<string, string> {
  const containers: unknown[] = Object(spec)['containers'] ?? [];
  const variables: unknown[] = Object(containers[0])['env'] ?? [];
  return new Map(variables.map((each) => [String(Object(each)['name']), String(Object(each)['value'])]));
}

function messagesFile(
  template: unknown,
  spec: unknown,
  namespace: string,
  api: ApiServer,
): string | undefined {
  const volumes: unknown[] = Object(spec)['volumes'] ?? [];
  for (const volume of volumes) {
    const { downwardAPI, secret, projected } = Object(volume);
    for (const source of [{ downwardAPI, secret }, ...(Object(projected)['sources'] ?? [])]) {
      const text = fromAnnotation(source, template) ?? fromSecret(source, namespace, api);
      if (text !== undefined) return text;
    }
  }
  return undefined;
}

function fromAnnotation(source: unknown, template: unknown): string | undefined {
  const items: unknown[] = Object(Object(source)['downwardAPI'])['items'] ?? [];
  const item = items.map(Object).find(({ path }) => path === 'messages.json');
  const key = /annotations\['(.+)'\]/.exec(String(Object(item?.fieldRef)['fieldPath']))?.[1];
  return key === undefined ? undefined : Object(Object(Object(template)['metadata'])['annotations'])[key];
}

function fromSecret(source: unknown, namespace: string, api: ApiServer): string | undefined {
  const secret = Object(Object(source)['secret']);
  const name: unknown = secret['secretName'] ?? secret['name'];
  if (typeof name !== 'string') return undefined;
  const { data = {}, stringData = {} } = Object(api.get(resourceOf('secrets'), namespace, name));
  const plain: unknown = stringData['messages.json'];
  if (typeof plain === 'string') return plain;
  const encoded: unknown = data['messages.json'];
  return typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString() : undefined;
}
