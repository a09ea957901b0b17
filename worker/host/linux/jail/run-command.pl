#!/usr/bin/perl
# Runs runc, which starts a command in a jail, and stays as the command's parent: it takes in what the jail prints through a
# pipe, and notes how the command ends. runc ends at once, and no shell can adopt what it leaves: that takes
# PR_SET_CHILD_SUBREAPER. In perl, which every Debian has and which takes about 1 MiB of memory for each jail.
#
# What runc itself has to say goes to this program's standard error, and not to the console: there a jail can print the same.
#
# What it keeps is bounded: two files of at most $most bytes. Who prints faster than this reads has to wait. It reads in the
# jail's cgroup, at the cost of the jail's own share of the CPU, and ends with the last process that can write to the pipe.
use strict;
use warnings;

my $most = 512 * 1024;
my $piece = 64 * 1024;
my ($subreaper, $pidfd_open, $nohang) = (36, 434, 1);

umask 077;
my $role = shift;
$role eq 'keep' ? keep(@ARGV) : start($role, @ARGV);

# Starts the keeper, and exits as runc does (`start`), or as the command (`wait`).
sub start {
  my ($until, @rest) = @_;
  # The keeper's descriptors stay open when it becomes another program.
  $^F = 255;
  pipe(my $answer, my $tell) or die "pipe: $!";
  open(my $runc_log, '>&', \*STDERR) or die "dup: $!";
  my $pid = fork // die "fork: $!";
  if ($pid == 0) {
    close $answer;
    my @marks = map { defined $ENV{$_} ? "$_=$ENV{$_}" : () } 'PROVOST_WORKER', 'PROVOST_OPERATION';
    # Without the marks of the worker: the next worker ends what has them.
    %ENV = (PATH => $ENV{PATH}, LC_ALL => 'C');
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    exec 'setsid', $^X, $0, 'keep', $until, fileno $tell, fileno $runc_log, join("\n", @marks), @rest;
    exit 127;
  }
  close $tell;
  my $code = <$answer>;
  die "what was to start the command has ended\n" unless defined $code;
  exit $code;
}

sub keep {
  my ($until, $tell, $runc_log, $marks, $prctl, $owner, $console, $pid_file, $end_file, $cgroups, @runc) = @_;
  $SIG{PIPE} = 'IGNORE';
  open(my $teller, '>&=', $tell) or die;
  open(my $logger, '>&=', $runc_log) or die;
  syscall($prctl, $subreaper, 1, 0, 0, 0) == 0 or die;
  $^F = 2;
  pipe(my $output, my $input) or die;
  chown $owner, $owner, $input;
  my $runc = fork // die;
  run_runc($input, $logger, $marks, @runc) if $runc == 0;
  close $input;
  close $logger;
  # Only now: runc starts at its own pace, and finds its way into the jail's cgroup itself.
  write_to($_, '0') for split /\n/, $cgroups;
  # It is small, and a jail that runs out of memory must not lose its console.
  write_to('/proc/self/oom_score_adj', '-1000');

  my $log = open_log($console);
  waitpid $runc, 0;
  my $status = exit_code($?);
  my $pid = $status == 0 ? read_number($pid_file) : undef;
  my $tell_code = sub {
    return unless $teller;
    syswrite $teller, "$_[0]\n";
    close $teller;
    $teller = undef;
  };
  if (!defined $pid) {
    take($log, $output) for 1 .. pieces_waiting($output);
    $tell_code->($status || 70);
  }
  $tell_code->(0) if $until eq 'start';
  my $pidfd = defined $pid ? syscall($pidfd_open, $pid, 0) : -1;

  my $is_open = 1;
  while ($is_open || defined $pid) {
    my $ready = '';
    vec($ready, fileno $output, 1) = 1 if $is_open;
    vec($ready, $pidfd, 1) = 1 if defined $pid && $pidfd >= 0;
    # Without pidfd_open(2), which came with Linux 5.3, the end of the command is looked for each second.
    select $ready, undef, undef, defined $pid && $pidfd < 0 ? 1 : undef;
    $is_open = take($log, $output) if $is_open && vec($ready, fileno $output, 1);
    next unless defined $pid && waitpid($pid, $nohang) == $pid;
    my $code = exit_code($?);
    $pid = undef;
    # What it printed last is on the console before anybody hears of its end.
    for (1 .. 16) {
      last unless $is_open && pieces_waiting($output);
      $is_open = take($log, $output);
    }
    note($end_file, $code);
    $tell_code->($code);
  }
}

sub run_runc {
  my ($input, $logger, $marks, $program, @arguments) = @_;
  $^F = 255;
  open(my $log, '>&', $logger) or die;
  # The end of a pipe that nobody writes to, and not the host's own /dev/null: root in the jail could change that one's mode.
  pipe(my $nothing, my $nobody) or die;
  close $nobody;
  open STDIN, '<&', $nothing;
  open STDOUT, '>&', $input;
  open STDERR, '>&', $input;
  # So that a worker that starts anew ends a runc that was left half way.
  for (split /\n/, $marks) {
    my ($name, $value) = split /=/, $_, 2;
    $ENV{$name} = $value;
  }
  $SIG{PIPE} = 'DEFAULT';
  exec { $program } $program, '--log', "/proc/self/fd/" . fileno $log, @arguments;
  exit 127;
}

sub exit_code { my ($status) = @_; return $status & 127 ? 128 + ($status & 127) : $status >> 8 }

sub pieces_waiting {
  my ($output) = @_;
  my $ready = '';
  vec($ready, fileno $output, 1) = 1;
  return select($ready, undef, undef, 0) > 0 ? 1 : 0;
}

# Takes in one piece. Returns whether more can come.
sub take {
  my ($log, $output) = @_;
  my $length = sysread($output, my $text, $piece);
  return 1 unless defined $length;
  return 0 if $length == 0;
  if ($log->{size} + $length > $most) {
    rename $log->{path}, "$log->{path}.1";
    %$log = %{ open_log($log->{path}) };
  }
  # On a full disk it is lost: the jail must not stand still for that.
  $log->{size} += syswrite($log->{file}, $text) // 0 if $log->{file};
  return 1;
}

sub open_log {
  my ($path) = @_;
  open(my $file, '>>', $path) or return { path => $path, size => 0 };
  return { path => $path, file => $file, size => -s $file };
}

sub write_to {
  my ($path, $text) = @_;
  open(my $file, '>', $path) or return;
  syswrite $file, $text;
  close $file;
}

sub read_number {
  my ($path) = @_;
  open(my $file, '<', $path) or return undef;
  my $text = <$file> // '';
  return $text =~ /^(\d+)/ ? $1 : undef;
}

sub note {
  my ($path, $code) = @_;
  write_to("$path.new", "$code\n");
  rename "$path.new", $path;
}
