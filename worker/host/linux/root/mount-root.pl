#!/usr/bin/perl
# Makes a jail's user namespace, which is bound to a file, unless it is there already, and mounts the jail's root: an overlay whose layers it sees through idmapped mounts,
# mount_setattr(2), so that id 0 on the disk is the first of the jail's ids on the host. Nothing on the disk is copied or changed. In perl,
# which has syscall() and is there anyway: mount(8) has X-mount.idmap only since 2.39.
#
# Killed at any point it leaves at most the bound file: the idmapped mounts are in a mount namespace that ends with it.
use strict;
use warnings;
use Socket;

my ($machine, $first, $size, $namespace, $make, $tree, $writable, @roots) = @ARGV;
my ($mount, $setns, $unshare, $prlimit, $prctl, $setresuid, $setresgid, $setgroups) = map { $_ + 0 } split /,/, $machine;
# syscall() takes for a number only what has been one.
$first += 0;
# Of calls since Linux 5.2 the numbers are the same on all machines.
my ($open_tree, $move_mount, $fsopen, $fsconfig, $fsmount, $mount_setattr) = (428 .. 432, 442);
my ($new_user, $new_mounts) = (0x10000000, 0x20000);
my ($at_here, $at_empty_path, $at_recursive) = (-100, 0x1000, 0x8000);
my ($clone_tree, $close_on_exec, $from_empty_path) = (1, 0x80000, 4);
my ($nosuid, $nodev, $idmap, $private) = (2, 4, 0x100000, 0x40000);
my $bind = 0x1000;
my ($set_string, $create) = (1, 6);
my ($set_securebits, $no_setuid_fixup) = (28, 4);
# As many queued signals as 64 processes might have, and the kernel's own default for message queues, of all processes together.
my %most = (11 => 4096, 12 => 819_200);

my $home = look('/proc/self/ns/mnt');
if ($make eq 'make') {
  my $users = user_namespace("0 $first $size\n", \&become_first);
  open(my $file, '>', $namespace) or die "$namespace: $!\n";
  call("binding $namespace", $mount, '/proc/self/fd/' . fileno $users, $namespace, '', $bind, 0);
}

exit unless @roots;

# What the host itself makes in the tree has an id of its own on the disk, beyond the jail's; without one it could make nothing.
my $map = user_namespace("0 $first $size\n$size 0 1\n", sub { });
call('a mount namespace', $unshare, $new_mounts);
call('private mounts', $mount_setattr, $at_here, '/', $at_recursive, attributes(0, $private, 0), 32);
for my $layer ($tree, $writable) {
  my $copy = call("open_tree of $layer", $open_tree, $at_here, $layer, $clone_tree | $close_on_exec);
  call("idmapped mount of $layer", $mount_setattr, $copy, '', $at_empty_path, attributes($idmap, 0, fileno $map), 32);
  # In its own place, so that the overlay tells where its layers are.
  call("move_mount to $layer", $move_mount, $copy, '', $at_here, $layer, $from_empty_path);
}
my $overlay = call('fsopen of overlay', $fsopen, 'overlay', 1);
my @options = (source => 'overlay', lowerdir => $tree, upperdir => "$writable/upper", workdir => "$writable/work");
while (my ($name, $value) = splice @options, 0, 2) {
  call("option $name=$value", $fsconfig, $overlay, $set_string, $name, $value, 0);
}
call('overlay', $fsconfig, $overlay, $create, 0, 0, 0);
my $made = call('fsmount of overlay', $fsmount, $overlay, 1, $nosuid | $nodev);
call('the host\'s mount namespace', $setns, fileno $home, $new_mounts);
# The last is where runc finds it. The copies first: a root that is mounted is whole.
for my $root (reverse @roots) {
  my $copy = call('open_tree of the overlay', $open_tree, $made, '', $at_empty_path | $clone_tree | $close_on_exec);
  call("mount on $root", $move_mount, $copy, '', $at_here, $root, $from_empty_path);
}

# Returns an open user namespace, which is gone with its last user.
sub user_namespace {
  my ($map, $before) = @_;
  socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, 0) or die "socketpair: $!\n";
  my $pid = fork // die "fork: $!\n";
  if ($pid == 0) {
    close $ours;
    eval { $before->(); call('a user namespace', $unshare, $new_user) };
    syswrite $theirs, $@ || 'made';
    sysread $theirs, my $end, 1;
    # Not exit: what is buffered is not this process's.
    kill 'KILL', $$;
  }
  close $theirs;
  my $said = '';
  sysread $ours, $said, 1000;
  die $said || "what makes a user namespace has ended\n" unless $said eq 'made';
  for my $kind ('uid_map', 'gid_map') {
    open(my $file, '>', "/proc/$pid/$kind") or die "$kind: $!\n";
    syswrite($file, $map) // die "$kind: $!\n";
    close $file;
  }
  my $made = look("/proc/$pid/ns/user");
  close $ours;
  waitpid $pid, 0;
  return $made;
}

# Who makes a user namespace is its owner, and what all in it use of the kernel is counted for that one, at most as much as that one may use:
# were it root of the host, all jails would share root's inotify(7) instances, signals and message queues.
sub become_first {
  call('limit', $prlimit, 0, $_ + 0, pack('QQ', $most{$_}, $most{$_}), 0) for keys %most;
  # It stays capable: a host may let nobody else make a user namespace.
  call('securebits', $prctl, $set_securebits, $no_setuid_fixup, 0, 0, 0);
  call('setgroups', $setgroups, 0, 0);
  call('setresgid', $setresgid, $first, $first, $first);
  call('setresuid', $setresuid, $first, $first, $first);
}

sub attributes { my ($set, $propagation, $users) = @_; return pack 'QQQQ', $set, 0, $propagation, $users }

sub look { my ($path) = @_; open(my $file, '<', $path) or die "$path: $!\n"; return $file }

# The arguments are copies: syscall() wants strings that could be written to.
sub call {
  my ($what, $number, @arguments) = @_;
  my $result = syscall $number, @arguments;
  die "$what: $!\n" if $result < 0;
  return $result;
}
