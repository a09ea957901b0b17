/** Numbers of system calls that Node lacks, on the two machines that this runtime knows: <asm/unistd.h>. Newer calls have one for all. */
const x64 = {
  ...{ mount: 165, setns: 308, unshare: 272, prlimit: 302, prctl: 157 },
  ...{ setresuid: 117, setresgid: 119, setgroups: 116 },
}
const arm64: typeof x64 = {
  ...{ mount: 40, setns: 268, unshare: 97, prlimit: 261, prctl: 167 },
  ...{ setresuid: 147, setresgid: 149, setgroups: 159 },
}

export const systemCalls = process.arch === 'x64' ? x64 : arm64

/** Returns the numbers of calls as the perl scripts of this runtime take them. */
export function numbersOf(...names: (keyof typeof systemCalls)[]): string {
  return names.map((name) => systemCalls[name]).join(',')
}
