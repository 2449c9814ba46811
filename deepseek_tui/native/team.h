/* A few threads that work on the same phases of a model, one after another.

   A phase is over when all its pieces are done, not when all threads have arrived: where the machine is busy with
   other programs, a thread that is not running holds nobody up unless it took a piece with it. A thread that comes
   late finds the pieces of past phases gone and catches up. So what a thread does outside of its pieces may read
   only memory that outlives the phase, and write only its own. */
#ifndef TEAM_H
#define TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { MOST_THREADS = 64, JOB_SIZE = 128 };

typedef struct Team Team;

/* One thread's place in the work. */
typedef struct {
    Team *team;
    int thread;
    uint32_t phase;
    int64_t taken; /* pieces in its hands */
} Hand;

typedef void Work(Hand *hand, const void *job);

struct Team {
    int threads;
    _Alignas(64) atomic_ullong ticket; /* the phase, and in the lower half its next piece */
    _Alignas(64) atomic_llong done;    /* pieces of this phase that are finished */
    _Alignas(64) atomic_int round;     /* counts the jobs; negative ends the threads */
    pthread_mutex_t lock;              /* of what follows */
    pthread_cond_t wake;
    int sleeping, started;
    Work *work;
    uint32_t first_phase;
    char job[JOB_SIZE];
    pthread_t handles[MOST_THREADS];
};

/* 0, or an errno. The calling thread is one of the `threads`; fewer are made where the system gives no more. */
int team_start(Team *team, int threads);
void team_stop(Team *team);

/* Runs work(hand, copy of job) on this thread and on those of the others that come in time; returns when all
   pieces of all its phases are done. */
void team_run(Team *team, Work *work, const void *job, size_t size);

/* Finishes what this thread had taken and takes the next `size` of the phase's `total` (above 0, below 2^31)
   pieces: the first of them, or -1. To be called until it says -1. */
int64_t team_take(Hand *hand, int64_t total, int64_t size);

/* Whether the phase went on without this thread: then what it read just now may be another phase's. */
int team_is_late(Hand *hand);

/* Waits until the phase is over. */
void team_meet(Hand *hand);

#endif
