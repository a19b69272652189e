#!/usr/bin/env bash
# A Slurm cluster of one node on this machine, for the tests: tests/slurm_node.sh start|stop. As root, without systemd.
# Debian's packages: apt-get install slurm-wlm munge.
set -euo pipefail

CPUS=${SLURM_NODE_CPUS:-2}
MEMORY=${SLURM_NODE_MEMORY:-6000}
STATE=${SLURM_NODE_STATE:-/var/lib/unlearnbench-slurm}
CONF=/etc/slurm/slurm.conf
MARK="# Written by unlearnbench's tests/slurm_node.sh"

configure() {
  if [ -e $CONF ] && ! grep -q "$MARK" $CONF; then
    echo "There is a $CONF of somebody else's; this script leaves it alone." >&2
    exit 1
  fi
  mkdir -p "$STATE/ctld" "$STATE/d" /etc/slurm
  cat > $CONF <<CONFIGURATION
$MARK
ClusterName=unlearnbench
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
JobRequeue=1
MinJobAge=60
KillWait=5
ReturnToService=2
SlurmdParameters=config_overrides
MpiDefault=none
StateSaveLocation=$STATE/ctld
SlurmdSpoolDir=$STATE/d
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEMORY State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONFIGURATION
}

start() {
  configure
  mkdir -p /run/munge && chown munge: /run/munge
  pgrep -x munged > /dev/null || setpriv --reuid=munge --regid=munge --init-groups munged
  pgrep -x slurmctld > /dev/null || slurmctld -c
  pgrep -x slurmd > /dev/null || slurmd
  for _ in $(seq 60); do
    sinfo --noheader --format=%T 2> /dev/null | grep -q idle && return 0
    sleep 0.5
  done
  echo "Slurm did not come up; see $STATE/slurmctld.log and slurmd.log." >&2
  exit 1
}

stop() {
  for file in "$STATE/slurmd.pid" "$STATE/slurmctld.pid" /run/munge/munged.pid; do
    [ ! -e "$file" ] || kill "$(cat "$file")" 2> /dev/null || true
  done
  # A start that follows at once must not take the ones that are still ending for those that it needs.
  for _ in $(seq 60); do
    pgrep -x slurmd > /dev/null || pgrep -x slurmctld > /dev/null || pgrep -x munged > /dev/null || return 0
    sleep 0.5
  done
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  *) echo "usage: $0 start|stop" >&2; exit 2 ;;
esac
