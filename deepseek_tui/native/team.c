#define _GNU_SOURCE
#include "team.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

/* Waiting costs a core, being woken about 50 microseconds. */
enum { SPINS_BEFORE_YIELD = 500, SPINS_BEFORE_SLEEP = 5000 };

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t phase_now(Team *team) {
    return (uint32_t)(atomic_load_explicit(&team->ticket, memory_order_acquire) >> 32);
}

int64_t team_take(Hand *hand, int64_t total, int64_t size) {
    Team *team = hand->team;
    if (hand->taken) {
        int64_t before = atomic_fetch_add_explicit(&team->done, hand->taken, memory_order_acq_rel);
        int last = before + hand->taken == total;
        hand->taken = 0;
        if (last) {
            atomic_store_explicit(&team->done, 0, memory_order_relaxed);
            atomic_store_explicit(&team->ticket, (uint64_t)(hand->phase + 1) << 32, memory_order_release);
            return -1;
        }
    }
    unsigned long long ticket = atomic_load_explicit(&team->ticket, memory_order_acquire);
    for (;;) {
        int64_t first = (int64_t)(uint32_t)ticket;
        if ((uint32_t)(ticket >> 32) != hand->phase || first >= total) return -1;
        if (size > total - first) size = total - first;
        if (atomic_compare_exchange_weak_explicit(&team->ticket, &ticket, ticket + (uint64_t)size,
                                                  memory_order_acq_rel, memory_order_acquire)) {
            hand->taken = size;
            return first;
        }
    }
}

int team_is_late(Hand *hand) {
    atomic_thread_fence(memory_order_acquire); /* the reads before come before this one */
    return phase_now(hand->team) != hand->phase;
}

void team_meet(Hand *hand) {
    /* Where the cores are busy with others, the thread waited for may not be running: let it. */
    for (int spins = 0; phase_now(hand->team) == hand->phase; spins++) {
        if (spins < SPINS_BEFORE_YIELD) relax();
        else sched_yield();
    }
    hand->phase++;
}

static int next_round(Team *team, int seen) {
    int round;
    for (int spins = 0; spins < SPINS_BEFORE_SLEEP; spins++) {
        round = atomic_load_explicit(&team->round, memory_order_acquire);
        if (round != seen) return round;
        relax();
    }
    pthread_mutex_lock(&team->lock);
    team->sleeping++;
    while ((round = atomic_load_explicit(&team->round, memory_order_acquire)) == seen)
        pthread_cond_wait(&team->wake, &team->lock);
    team->sleeping--;
    pthread_mutex_unlock(&team->lock);
    return round;
}

static void *live(void *argument) {
    Team *team = argument;
    Hand hand = {.team = team};
    _Alignas(16) char job[JOB_SIZE];
    pthread_mutex_lock(&team->lock);
    hand.thread = ++team->started;
    pthread_mutex_unlock(&team->lock);
    for (int round = 0; (round = next_round(team, round)) >= 0;) {
        pthread_mutex_lock(&team->lock);
        round = atomic_load_explicit(&team->round, memory_order_relaxed);
        Work *work = team->work;
        hand.phase = team->first_phase;
        memcpy(job, team->job, sizeof job);
        pthread_mutex_unlock(&team->lock);
        if (round < 0) break;
        work(&hand, job);
    }
    return NULL;
}

/* With the lock held. */
static void announce(Team *team, int round) {
    atomic_store_explicit(&team->round, round, memory_order_release);
    if (team->sleeping) pthread_cond_broadcast(&team->wake);
}

int team_start(Team *team, int threads) {
    if (threads < 1 || threads > MOST_THREADS) return EINVAL;
    memset(team, 0, sizeof *team);
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->wake, NULL);
    /* Signals are the interpreter's, so no thread of ours may take them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int made = 1;
    while (made < threads && !pthread_create(&team->handles[made], NULL, live, team)) made++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    team->threads = made;
    return 0;
}

void team_stop(Team *team) {
    pthread_mutex_lock(&team->lock);
    announce(team, -1);
    pthread_mutex_unlock(&team->lock);
    for (int i = 1; i < team->threads; i++) pthread_join(team->handles[i], NULL);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->lock);
}

void team_run(Team *team, Work *work, const void *job, size_t size) {
    Hand hand = {.team = team, .phase = phase_now(team)};
    if (team->threads > 1) {
        int round = atomic_load_explicit(&team->round, memory_order_relaxed);
        pthread_mutex_lock(&team->lock);
        team->work = work;
        team->first_phase = hand.phase;
        memcpy(team->job, job, size);
        announce(team, round == INT32_MAX ? 1 : round + 1);
        pthread_mutex_unlock(&team->lock);
    }
    work(&hand, job);
}
