/** The parts of AWS that know nothing of each other, as the SDK's endpoint rules list them. */

export interface Partition {
  readonly name: string;
  readonly region: RegExp;
  readonly suffix: string;
  readonly dualStackSuffix: string;
}

export const PARTITIONS: readonly Partition[] = [
  {
    name: 'aws',
    region: /^(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+$/,
    suffix: 'amazonaws.com',
    dualStackSuffix: 'api.aws',
  },
  {
    name: 'aws-cn',
    region: /^cn-\w+-\d+$/,
    suffix: 'amazonaws.com.cn',
    dualStackSuffix: 'api.amazonwebservices.com.cn',
  },
  { name: 'aws-us-gov', region: /^us-gov-\w+-\d+$/, suffix: 'amazonaws.com', dualStackSuffix: 'api.aws' },
  {
    name: 'aws-eusc',
    region: /^eusc-(de)-\w+-\d+$/,
    suffix: 'amazonaws.eu',
    dualStackSuffix: 'api.amazonwebservices.eu',
  },
  { name: 'aws-iso', region: /^us-iso-\w+-\d+$/, suffix: 'c2s.ic.gov', dualStackSuffix: 'api.aws.ic.gov' },
  {
    name: 'aws-iso-b',
    region: /^us-isob-\w+-\d+$/,
    suffix: 'sc2s.sgov.gov',
    dualStackSuffix: 'api.aws.scloud',
  },
  {
    name: 'aws-iso-e',
    region: /^eu-isoe-\w+-\d+$/,
    suffix: 'cloud.adc-e.uk',
    dualStackSuffix: 'api.cloud-aws.adc-e.uk',
  },
  {
    name: 'aws-iso-f',
    region: /^us-isof-\w+-\d+$/,
    suffix: 'csp.hci.ic.gov',
    dualStackSuffix: 'api.aws.hci.ic.gov',
  },
];
