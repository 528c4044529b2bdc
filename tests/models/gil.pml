/* The lock of runtime/sync/gil.cpp as a model: its word, its mutex, its two lines, parkers, timers and what is asked of the
 * holder; without clocks, figures and processors. What time decides in the code (whether a turn is over, who has credit) is
 * decided freely here, so every schedule is looked at, also those that no clock would allow.
 *
 * Each of N threads takes the lock ROUNDS times. Holding it, it gives it up by itself, or computes until it is asked for it
 * (or nobody wants it): then somebody must ask, or nothing can go on, which the checker finds as an invalid end state. So a
 * lost wake-up and a missing timer are both deadlocks here. Nobody wakes up for no reason, unless SPURIOUS is defined.
 *
 * MUTANT=n breaks the model in one place; check.py sees to it that each break is found:
 *   1  the fast release does not look whether somebody has begun to wait
 *   2  who hands over does not see to it that the next in line has a timer
 *   3  a notification that finds nobody asleep is not remembered
 *   4  who was notified takes that for having the lock
 *   5  who is asked and finds the turn not over forgets that the heir has no timer any more
 */
#ifndef N
#define N 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef MUTANT
#define MUTANT 0
#endif
#define FREE N
#define NOBODY N

byte owner = FREE;       /* the word: whose it is ... */
bool wanted = false;     /* ... and its lowest bit */
bool mutex = false;
byte line[N], line_length = 0;        /* ordinary */
byte first[N], first_length = 0;      /* returning: goes before */
bool notified[N], asleep[N];          /* parkers */
bool timer[N];                        /* sleeps with a timer */
bool asked[N], drop[N];               /* holder: what the heir thinks, and its interrupt bit */
byte inside = 0, ended = 0;

inline lock_mutex() { atomic { !mutex -> mutex = true } }
inline unlock_mutex() { mutex = false }

#define HEIR (first_length > 0 -> first[0] : (line_length > 0 -> line[0] : NOBODY))

inline push_back(who, returning) {
  d_step {
    if
    :: returning -> first[first_length] = who; first_length++
    :: else -> line[line_length] = who; line_length++
    fi
  }
}

/* Who comes back from outside goes before those whom the holder woke in passing. */
inline push_first(who) {
  d_step {
    i = first_length;
    do :: i > 0 -> first[i] = first[i - 1]; i-- :: else -> break od;
    first[0] = who; first_length++; i = 0
  }
}

inline push_front(who) {
  d_step {
    i = line_length;
    do :: i > 0 -> line[i] = line[i - 1]; i-- :: else -> break od;
    line[0] = who; line_length++; i = 0
  }
}

/* Takes the heir out of its line: `next`, or NOBODY. */
inline take_heir() {
  d_step {
    next = HEIR;
    if
    :: next == NOBODY -> skip
    :: else ->
       i = 0;
       if
       :: first_length > 0 ->
          first_length--;
          do :: i < first_length -> first[i] = first[i + 1]; i++ :: else -> break od;
          first[first_length] = 0
       :: else ->
          line_length--;
          do :: i < line_length -> line[i] = line[i + 1]; i++ :: else -> break od;
          line[line_length] = 0
       fi;
       timer[next] = false; i = 0
    fi
  }
}

/* What `who`, in line, does about the present turn. */
inline arm(who) {
  timer[who] = false;
  if
  :: HEIR == who && !asked[owner] ->
     if
     :: asked[owner] = true; drop[owner] = true     /* the turn is over */
     :: timer[who] = true                           /* it is not */
     fi
  :: else -> skip
  fi
}

inline unpark(who) {
  d_step {
    if
    :: who == NOBODY -> skip
    :: MUTANT == 3 && who != NOBODY && !asleep[who] -> skip
    :: else -> notified[who] = true
    fi
  }
}

/* The next in line, if it has no timer and does not arm one now: it must be woken to do so. */
inline find_timekeeper(about_to_wait) {
  keeper = HEIR;
  if
  :: keeper == NOBODY -> skip
  :: keeper == about_to_wait || timer[keeper] || MUTANT == 2 -> keeper = NOBODY
  :: else -> skip
  fi
}

/* `next`, in no line, gets the lock. */
inline grant() {
  d_step { owner = next; wanted = (first_length + line_length > 0) }
}

inline wait_for_lock(me) {
  do
  :: asleep[me] = true;
     if
     :: atomic { notified[me] -> notified[me] = false }
     :: atomic { timer[me] -> timer[me] = false }
#ifdef SPURIOUS
     :: true -> skip
#endif
     fi;
     asleep[me] = false;
     if
     :: owner == me || MUTANT == 4 -> break
     :: else ->
        lock_mutex();
        if
        :: owner == me -> unlock_mutex(); break
        :: else -> arm(me); unlock_mutex()
        fi
     fi
  od
}

inline acquire(me) {
  got = false;
  atomic { if :: owner == FREE -> owner = me; got = true :: else -> skip fi };
  if
  :: got -> skip
  :: else ->
     lock_mutex();
     atomic { if :: owner == FREE -> owner = me; got = true :: else -> wanted = true fi };
     if
     :: got -> unlock_mutex()
     :: else ->
        if :: push_back(me, true) :: push_first(me) :: push_back(me, false) fi;
        arm(me);
        unlock_mutex();
        wait_for_lock(me)
     fi
  fi
}

inline end_turn(me) { asked[me] = false; drop[me] = false }

inline release(me) {
  got = false;
  atomic {
    if
    :: !wanted || MUTANT == 1 -> owner = FREE; got = true
    :: else -> skip
    fi
  };
  if
  :: got -> skip
  :: else ->
     lock_mutex();
     end_turn(me);
     take_heir();
     keeper = NOBODY;
     if
     :: next != NOBODY -> grant(); find_timekeeper(NOBODY)
     :: else -> d_step { owner = FREE; wanted = false }
     fi;
     unlock_mutex();
     unpark(next);
     unpark(keeper)
  fi;
  next = NOBODY; keeper = NOBODY
}

inline hand_over(me) {
  lock_mutex();
  drop[me] = false;
  asked[me] = false;
  if
  :: HEIR == NOBODY -> unlock_mutex()
  :: HEIR != NOBODY ->                      /* the interval was lengthened, or who asked has been served */
     find_timekeeper(NOBODY);
     if :: MUTANT == 5 -> keeper = NOBODY :: else -> skip fi;
     unlock_mutex();
     unpark(keeper)
  :: HEIR != NOBODY ->
     inside--;
     take_heir();
     end_turn(me);
     if :: push_back(me, true) :: push_back(me, false) :: push_front(me) fi;
     grant();
     find_timekeeper(me);
     arm(me);
     unlock_mutex();
     unpark(next);
     unpark(keeper);
     next = NOBODY; keeper = NOBODY;
     wait_for_lock(me);
     inside++; assert(inside == 1 && owner == me);
     over = true
  fi;
  next = NOBODY; keeper = NOBODY
}

active [N] proctype thread() {
  byte round = 0, next = NOBODY, keeper = NOBODY, i = 0;
  bool got = false, over = false;
  do
  :: round < ROUNDS ->
     acquire(_pid);
     inside++;
     assert(inside == 1 && owner == _pid);
     over = false;
     if
     :: over = true                                        /* it blocks or ends */
     :: do                                                 /* it computes */
        :: drop[_pid] -> hand_over(_pid)
        :: !wanted || over -> break
        od
     fi;
     assert(inside == 1 && owner == _pid);
     inside--;
     release(_pid);
     round++;
     if :: round == ROUNDS -> ended++ :: else -> skip fi
  :: else -> break
  od
}

/* At the end nothing is left behind. */
active proctype observer() {
  end:
  (ended == N) -> assert(owner == FREE && !wanted && !mutex && line_length == 0 && first_length == 0)
}
