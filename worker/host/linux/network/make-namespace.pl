#!/usr/bin/perl
# Makes a network namespace that belongs to a jail's user namespace, binds it to a file, and becomes a program in it, which keeps the rights of
# root on the host: unshare(1) cannot do the one without the other.
use strict;
use warnings;
use Socket;

my ($machine, $users, $file, @program) = @ARGV;
my ($mount, $setns, $unshare) = map { $_ + 0 } split /,/, $machine;
my ($new_user, $new_network, $bind) = (0x10000000, 0x40000000, 0x1000);

open(my $user, '<', $users) or die "$users: $!\n";
socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!\n";
my $pid = fork // die "fork: $!\n";
if ($pid == 0) {
  close $ours;
  eval { call("entering $users", $setns, fileno $user, $new_user); call('a network namespace', $unshare, $new_network) };
  syswrite $theirs, $@ || 'made';
  sysread $theirs, my $end, 1;
  # Not exit: what is buffered is not this process's.
  kill 'KILL', $$;
}
close $theirs;
my $said = '';
sysread $ours, $said, 1000;
die $said || "what makes a network namespace has ended\n" unless $said eq 'made';
open(my $network, '<', "/proc/$pid/ns/net") or die "its network namespace: $!\n";
close $ours;
waitpid $pid, 0;
call("binding $file", $mount, '/proc/self/fd/' . fileno $network, $file, '', $bind, 0);
call('entering it', $setns, fileno $network, $new_network);
exec { $program[0] } @program or die "$program[0]: $!\n";

# The arguments are copies: syscall() wants strings that could be written to.
sub call {
  my ($what, $number, @arguments) = @_;
  my $result = syscall $number, @arguments;
  die "$what: $!\n" if $result < 0;
  return $result;
}
