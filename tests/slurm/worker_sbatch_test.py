"""deploy/slurm/worker.sbatch over stand-ins for scontrol, srun and the worker: when the allocation goes back into the queue."""
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, 'deploy/slurm/worker.sbatch')

# Ends with $CODE, at once or, with $STAY, after a signal; the name of the signal is written down. The second task has $CODE_1.
WORKER = '''#!/bin/bash
echo "worker $*" >>"$CALLS"
[ -z "${SLURM_PROCID:-}" ] || [ "$SLURM_PROCID" = 0 ] || CODE=${CODE_1:-$CODE}
if [ -n "${STAY:-}" ]; then
  done=
  for name in TERM USR1; do trap "echo got $name >>$CALLS; done=1" $name; done
  touch "$CALLS.ready.${SLURM_PROCID:-0}"
  while [ -z "$done" ]; do sleep 0.05; done
fi
echo "this is the worker's own output"
exit $CODE
'''
# Fails $SCONTROL_FAILS times first.
SCONTROL = '''#!/bin/bash
echo "scontrol $*" >>"$CALLS"
n=$(cat "$CALLS.n" 2>/dev/null || echo 0)
echo $((n + 1)) >"$CALLS.n"
if [ "$n" -lt "${SCONTROL_FAILS:-0}" ]; then
  echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2
  exit 1
fi
case "$*" in
  *show*) echo "JobId=7 JobName=w Requeue=1 JobState=$STATE Reason=None StartTime=2026-03-01T10:00:00 EndTime=$END PreemptEligibleTime=2026-03-01T10:00:00 PreemptTime=$PREEMPT" ;;
esac
'''
# Two tasks. Like srun, it passes USR1 on, and kills its tasks at a TERM.
SRUN = '''#!/bin/bash
echo "srun" >>"$CALLS"
while [ "${1#--}" != "$1" ]; do shift; done
trap 'kill -USR1 $a $b' USR1
trap 'kill -KILL $a $b; echo forcing >>"$CALLS"; exit 143' TERM
SLURM_PROCID=0 "$@" & a=$!
SLURM_PROCID=1 "$@" & b=$!
code=0
for p in $a $b; do
  while :; do wait $p; c=$?; kill -0 $p 2>/dev/null || break; done
  wait $p; c=$?
  [ $c -le $code ] || code=$c
done
exit $code
'''


class WorkerSbatchTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='sbatch test ')
        self.calls = os.path.join(self.folder, 'calls')
        bin_dir = os.path.join(self.folder, 'path')
        os.mkdir(bin_dir)
        for name, text in {'coppice-worker': WORKER, 'scontrol': SCONTROL, 'srun': SRUN}.items():
            with open(os.path.join(bin_dir, name), 'w', encoding='utf-8') as out:
                out.write(text)
            os.chmod(os.path.join(bin_dir, name), 0o755)
        # The stand-ins quote no paths in traps.
        link = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, link)
        self.calls = os.path.join(link, 'calls')
        self.environment = {'PATH': bin_dir + ':/usr/bin:/bin', 'HOME': self.folder, 'CALLS': self.calls, 'CODE': '75', 'STATE': 'RUNNING',
                            'PREEMPT': 'None', 'END': 'Unknown', 'SLURM_JOB_ID': '7', 'SLURM_SUBMIT_DIR': self.folder, 'TMPDIR': self.folder}
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, *words, **environment):
        return subprocess.Popen([SCRIPT, *words], env={**self.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def run_script(self, *words, **environment):
        process = self.start(*words, **environment)
        _, said = process.communicate(timeout=30)
        return process.returncode, said

    def made(self, what):
        """The calls that begin with `what`."""
        if not os.path.exists(self.calls):
            return []
        with open(self.calls, encoding='utf-8') as file:
            return [line.strip() for line in file if line.startswith(what)]

    def stop(self, process, number, tasks=1):
        """Signals the script once its workers are ready for it."""
        deadline = time.monotonic() + 20
        while not all(os.path.exists(f'{self.calls}.ready.{task}') for task in range(tasks)):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        return process.returncode, said

    def test_a_preempted_allocation_goes_back(self):
        code, said = self.run_script(PREEMPT='2026-03-01T10:05:00')
        self.assertEqual(code, 0)
        self.assertEqual(self.made('scontrol requeue'), ['scontrol requeue 7'])
        self.assertIn('preempted: job 7 goes back', said)

    def test_whatever_a_preemption_made_of_the_worker_it_goes_back(self):
        for failure in ('0', '1', '137'):
            with self.subTest(failure):
                self.run_script(CODE=failure, PREEMPT='2026-03-01T10:05:00')
                self.assertEqual(self.made('scontrol requeue'), ['scontrol requeue 7'])
                os.remove(self.calls)

    def test_a_preemption_before_this_start_says_nothing(self):
        code, _ = self.run_script(CODE='1', PREEMPT='2026-03-01T09:00:00')
        self.assertEqual(code, 1)
        self.assertEqual(self.made('scontrol requeue'), [])

    def test_one_task_of_an_array_goes_back_and_not_the_array(self):
        self.run_script(PREEMPT='2026-03-01T10:05:00', SLURM_ARRAY_JOB_ID='7', SLURM_ARRAY_TASK_ID='4')
        self.assertEqual(self.made('scontrol'), ['scontrol -o show job 7_4', 'scontrol requeue 7_4'])

    def test_an_orderly_end_stays_ended_even_in_a_preemption(self):
        for code, word in (('77', 'nothing to do'), ('78', 'drained'), ('79', 'newer worker'), ('80', 'refused')):
            with self.subTest(code):
                ended, said = self.run_script(CODE=code, PREEMPT='2026-03-01T10:05:00')
                self.assertEqual(ended, 0)
                self.assertIn(word, said)
        self.assertEqual(self.made('scontrol'), [])

    def test_a_preemption_that_ends_the_job_for_good_puts_it_back(self):
        for end in ('2026-03-01T10:05:00', '2026-03-01T10:05:01'):  # Slurm reads its clock twice
            with self.subTest(end):
                code, said = self.run_script(STATE='COMPLETING', PREEMPT='2026-03-01T10:05:00', END=end)
                self.assertEqual((code, self.made('scontrol requeue')), (0, ['scontrol requeue 7']))
                self.assertIn('preempted: job 7 goes back', said)
                os.remove(self.calls)

    def test_scancel_in_the_grace_of_a_preemption_stays_ended(self):
        self.run_script(STATE='COMPLETING', PREEMPT='2026-03-01T10:05:00', END='2026-03-01T10:05:07')
        self.run_script(STATE='COMPLETING', PREEMPT='2026-03-01T09:05:00', END='2026-03-01T09:05:00')  # of the start before
        self.assertEqual(self.made('scontrol requeue'), [])

    def test_scancel_stays_ended(self):
        for state in ('CANCELLED', 'TIMEOUT', 'COMPLETING', 'PENDING'):
            with self.subTest(state):
                code, _ = self.run_script(STATE=state, PREEMPT='2026-03-01T10:05:00')
                self.assertEqual(code, 0)
        self.assertEqual(self.made('scontrol requeue'), [])

    def test_a_walltime_with_work_left_goes_back_and_not_for_ever(self):
        self.run_script(CODE='76', SLURM_RESTART_COUNT='49')
        self.assertEqual(self.made('scontrol requeue'), ['scontrol requeue 7'])
        os.remove(self.calls)
        code, said = self.run_script(CODE='76', SLURM_RESTART_COUNT='50')
        self.assertEqual((code, self.made('scontrol requeue')), (0, []))
        self.assertIn('that is enough', said)

    def test_a_signal_reaches_the_worker_and_usr1_means_the_walltime(self):
        code, said = self.stop(self.start(STAY='1'), signal.SIGUSR1)
        self.assertEqual((code, self.made('got')), (0, ['got USR1']))
        self.assertIn('the walltime ended with work left', said)
        self.assertEqual(self.made('scontrol requeue'), ['scontrol requeue 7'])

    def test_a_term_without_preemption_stays_ended(self):
        code, said = self.stop(self.start(STAY='1'), signal.SIGTERM)
        self.assertEqual((code, self.made('got'), self.made('scontrol requeue')), (0, ['got TERM'], []))
        self.assertIn('no preemption', said)

    def test_a_failure_is_the_exit_code(self):
        for code in ('1', '2', '81'):
            with self.subTest(code):
                self.assertEqual(self.run_script(CODE=code)[0], int(code))
        self.assertEqual(self.made('scontrol requeue'), [])

    def test_several_tasks_need_all_their_codes(self):
        # The highest is 77, and still there was work.
        code, _ = self.run_script(SLURM_NTASKS='2', CODE='77', CODE_1='75', PREEMPT='2026-03-01T10:05:00')
        self.assertEqual((code, self.made('scontrol requeue'), len(self.made('worker'))), (0, ['scontrol requeue 7'], 2))

    def test_a_term_to_the_script_does_not_make_srun_kill_its_tasks(self):
        code, _ = self.stop(self.start(SLURM_NTASKS='2', STAY='1', PREEMPT='2026-03-01T10:05:00'), signal.SIGTERM, tasks=2)
        self.assertEqual((code, self.made('forcing'), self.made('scontrol requeue')), (0, [], ['scontrol requeue 7']))
        self.assertEqual(len(self.made('got')), 2)

    def test_several_nodes_without_a_number_of_tasks_use_srun(self):
        self.run_script(SLURM_JOB_NUM_NODES='2', CODE='77')
        self.assertEqual(self.made('srun'), ['srun'])

    def test_slurmctld_is_away_for_a_moment(self):
        self.run_script(PREEMPT='2026-03-01T10:05:00', SCONTROL_FAILS='2')
        self.assertEqual(self.made('scontrol requeue'), ['scontrol requeue 7'])

    def test_slurmctld_stays_away(self):
        code, said = self.run_script(PREEMPT='2026-03-01T10:05:00', SCONTROL_FAILS='99')
        self.assertEqual((code, self.made('scontrol requeue')), (0, []))
        self.assertIn('job 7 is UNKNOWN', said)

    def test_flags_are_words_as_they_were_given(self):
        wrapper = f'COPPICE_WORKER_FLAGS=(--log-level "a b"); source "{SCRIPT}" --pack "c d"'
        subprocess.run(['bash', '-c', wrapper], env={**self.environment, 'CODE': '77'}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       check=True)
        self.assertEqual(self.made('worker'), ['worker --log-level a b --pack c d'])

    def test_a_missing_worker_has_a_remedy(self):
        code, said = self.run_script(COPPICE_WORKER='/nowhere/coppice-worker')
        self.assertEqual(code, 2)
        self.assertIn('give a path that every node sees', said)
        code, said = self.run_script(PATH='/usr/bin:/bin')
        self.assertEqual(code, 2)
        self.assertIn('set COPPICE_WORKER', said)

    def test_the_worker_is_found_below_the_folder_of_the_submission(self):
        place = os.path.join(self.folder, 'build/release/bin')
        os.makedirs(place)
        os.rename(os.path.join(self.folder, 'path/coppice-worker'), os.path.join(place, 'coppice-worker'))
        self.assertEqual(self.run_script(CODE='77')[0], 0)
        self.assertEqual(len(self.made('worker')), 1)

    @unittest.skipUnless(shutil.which('shellcheck'), 'no shellcheck')
    def test_shellcheck(self):
        done = subprocess.run(['shellcheck', SCRIPT], stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ''))


if __name__ == '__main__':
    unittest.main()
