import { chmodSync, existsSync, readlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { CommandOptions, CommandResult } from './kernel.ts'

/** Answers for a program that was really started; `holds`: it leaves a process that keeps its outputs open. */
export type Answerer = (program: string, args: string[], options: CommandOptions) => Promise<CommandResult & { holds?: boolean }>

/** Executable files in the place of FreeBSD's programs; each asks over a socket what to print and how to exit. */
export async function standIns(directory: string, programs: string[], answer: Answerer): Promise<Server> {
  if (!existsSync('/usr/bin/perl')) throw new Error('The doubles of programs need /usr/bin/perl, which is not there.')
  const socket = join(directory, 'socket')
  for (const program of programs) {
    const path = join(directory, program)
    writeFileSync(path, textOf(socket, program))
    chmodSync(path, 0o755)
  }
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    let text = ''
    connection.on('error', () => undefined)
    connection.on('data', (piece) => {
      text += piece
    })
    connection.on('end', async () => {
      const [pid, program = '', ...args] = text.split('\0')
      const outputFile = outputOf(Number(pid))
      const { exitCode, holds, stdout, stderr } = await answer(program, args, outputFile ? { outputFile } : {}).catch(
        (error) => ({
          exitCode: 70,
          holds: false,
          stdout: '',
          stderr: `${error}\n`,
        }),
      )
      connection.end(`${exitCode} ${holds ? 1 : 0} ${Buffer.byteLength(stdout)}\n${stdout}${stderr}`)
    })
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return server
}

/** In perl(1), which every Debian has and which starts much sooner than Node: a contract starts thousands of these. */
function textOf(socket: string, program: string): string {
  return `#!/usr/bin/perl
use Socket;
my ($s, $out);
socket($s, PF_UNIX, SOCK_STREAM, 0) and connect($s, sockaddr_un('${socket}')) or die "no simulation: $!";
syswrite $s, join("\\0", $$, '${program}', @ARGV);
shutdown $s, 1;
my ($exit, $holds, $length) = split ' ', <$s>;
read $s, $out, $length;
local $/;
print STDOUT $out;
print STDERR <$s>;
if ($holds) {
  my $pid = fork // die;
  exec 'sleep', '30' if $pid == 0;
  open my $held, '>', '${socket}.held';
  print $held $pid;
}
exit $exit;
`
}

/** Where the program's output goes, if that is a file with a name: what it leaves running writes there too. */
function outputOf(pid: number): string | undefined {
  try {
    const path = readlinkSync(`/proc/${pid}/fd/1`)
    return path.startsWith('/') && !path.endsWith(' (deleted)') ? path : undefined
  } catch {
    return undefined
  }
}
