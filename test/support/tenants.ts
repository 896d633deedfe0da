import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { apply, kubectl } from './kubectl.ts';
import type { OperatorProcess } from './operator-process.ts';
import { OperatorStage } from './operator-stage.ts';
import { QueueCase, type QueueCaseOptions } from './queue-case.ts';
import { SqsGate } from './sqs-gate.ts';
import { StsServer } from './sts-server.ts';

export const ROLE_ANNOTATION = 'eks.amazonaws.com/role-arn';
const SHIPPED_ROLE = new URL('../../deploy/tenant/role.yaml', import.meta.url);
const objectSchema = z.looseObject({ metadata: z.looseObject({}) });
const ACCOUNT = '000000000000';

/** What a reader's role must be allowed. */
const READING = [
  'sqs:ReceiveMessage',
  'sqs:DeleteMessage',
  'sqs:ChangeMessageVisibility',
  'sqs:GetQueueAttributes',
] as const;
const IAM_COMMAND =
  /aws iam (put-role-policy|update-assume-role-policy) --role-name (\S+) (?:--policy-name \S+ )?--policy-document '([^']*)'/;
const policySchema = z.object({
  Statement: z.array(
    z.union([
      z.object({ Action: z.array(z.enum(READING)).length(READING.length), Resource: z.string() }),
      z.object({ Condition: z.object({ StringEquals: z.record(z.string(), z.string()) }) }),
    ]),
  ),
});

/** Who reads a tenant's queue. */
export interface Reader {
  readonly namespace: string;
  readonly serviceAccountName: string;
  readonly roleArn: string;
}

/** An operator whose tenants have ServiceAccounts and roles of their own, in front of an STS and an SQS that check them. */
export class Tenants {
  readonly stage: OperatorStage;
  readonly sts: StsServer;
  readonly gate: SqsGate;

  private constructor(stage: OperatorStage, sts: StsServer, gate: SqsGate) {
    this.stage = stage;
    this.sts = sts;
    this.gate = gate;
  }

  static async set(cases: readonly string[]): Promise<Tenants> {
    const stage = await OperatorStage.set(cases);
    const sts = await StsServer.start();
    return new Tenants(stage, sts, await SqsGate.start(stage.sqs.endpoint(), sts));
  }

  /** One that has an identity for nobody, unless flags say so. */
  async startOperator(flags: readonly string[] = [], cases?: readonly string[]): Promise<OperatorProcess> {
    return await this.stage.startOperator({
      sqs: this.gate,
      flags: [`--sts-endpoint=${this.sts.endpoint()}`, ...flags],
      ...(cases && { cases }),
    });
  }

  /** A ServiceAccount with a role that trusts it. */
  async addReader(caseName: string, serviceAccountName = 'poller'): Promise<Reader> {
    const namespace = this.stage.namespace(caseName);
    const roleArn = `arn:aws:iam::${ACCOUNT}:role/${namespace}-${serviceAccountName}`;
    await kubectl('create', 'serviceaccount', serviceAccountName, '-n', namespace);
    await this.annotate(caseName, serviceAccountName, roleArn);
    this.trust({ namespace, serviceAccountName, roleArn });
    return { namespace, serviceAccountName, roleArn };
  }

  async annotate(caseName: string, serviceAccountName: string, roleArn: string): Promise<void> {
    const annotation = `${ROLE_ANNOTATION}=${roleArn}`;
    const place = ['-n', this.stage.namespace(caseName)];
    await kubectl('annotate', 'serviceaccount', serviceAccountName, annotation, '--overwrite', ...place);
  }

  trust({ namespace, serviceAccountName, roleArn }: Reader, audience = 'sts.amazonaws.com'): void {
    this.sts.trust({
      roleArn,
      subject: `system:serviceaccount:${namespace}:${serviceAccountName}`,
      audience,
    });
  }

  /** What the shipped example gives the operator in a tenant's namespace. */
  async letOperatorAct({ namespace, serviceAccountName }: Omit<Reader, 'roleArn'>): Promise<void> {
    const text = await readFile(SHIPPED_ROLE, 'utf8');
    for (const document of parseAllDocuments(text.replaceAll('queue-poller', serviceAccountName))) {
      const object = objectSchema.parse(document.toJS());
      await apply({ ...object, metadata: { ...object.metadata, namespace } });
    }
  }

  /** A queue that the reader's role may use, and a BatchQueue that reads it so. */
  async addQueue(caseName: string, reader: Reader, options: QueueCaseOptions = {}): Promise<QueueCase> {
    const queue = new QueueCase(this.stage, caseName, {
      ...options,
      queue: { serviceAccountName: reader.serviceAccountName, ...options.queue },
    });
    await queue.createQueue();
    this.gate.allow(reader.roleArn, arnOf(queue));
    await queue.apply();
    return queue;
  }

  /** Does what the AWS CLI would, with the command for IAM that stands in a condition's message; throws when none does. */
  obey(message: string): void {
    const [, verb, role, json = ''] = IAM_COMMAND.exec(message) ?? [];
    if (verb === undefined) throw new Error(`no command for IAM: ${message}`);
    const roleArn = `arn:aws:iam::${ACCOUNT}:role/${role}`;
    for (const statement of policySchema.parse(JSON.parse(json)).Statement) {
      if ('Resource' in statement) this.gate.allow(roleArn, statement.Resource);
      else this.#trustAs(roleArn, statement.Condition.StringEquals);
    }
  }

  /** `equals`: what a trust policy demands of a token. */
  #trustAs(roleArn: string, equals: Readonly<Record<string, string>>): void {
    const issuer = this.sts.issuer.replace('https://', '');
    const { [`${issuer}:sub`]: subject = '', [`${issuer}:aud`]: audience = '' } = equals;
    this.sts.trust({ roleArn, subject, audience });
  }

  async clear(): Promise<void> {
    await this.stage.clear();
    await this.gate.stop();
    await this.sts.stop();
  }
}

export function arnOf(queue: QueueCase): string {
  return `arn:aws:sqs:us-east-1:${ACCOUNT}:${queue.queueName}`;
}
