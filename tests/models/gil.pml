/* The lock of runtime/sync/gil.cpp as a model: its word, its mutex, its two lines, parkers, timers and what is asked of the
 * holder; without clocks, figures and processors. What time decides in the code (whether a turn is over, who has credit) is
 * decided freely here, so every schedule is looked at, also those that no clock would allow.
 *
 * Each of N threads takes the lock ROUNDS times. Holding it, it gives it up by itself, or computes until it is asked for it
 * (or nobody wants it): then somebody must ask, or nothing can go on, which the checker finds as an invalid end state. So a
 * lost wake-up and a missing timer are both deadlocks here. Nobody wakes up for no reason, unless SPURIOUS is defined.
 *
 * With OUTSIDE a thread may also wait for another one, once in each round: holding the lock it notes that it wants something, gives
 * the lock up, looks for a moment for a notification at its outer parker, sleeps there, takes the lock and looks whether it got it
 * (Gil::park_outside, and the waiting objects that use it). Whoever has had the lock gives all what they want; a thread waits
 * only while there is another one that will still do so. A lost notification is a deadlock again. If others wait for the lock, who
 * is given what it wants is put in line instead of being woken (Gil::enlist), at any moment between its note and its coming back,
 * and is woken outside when it has the lock or must keep the time. It may also come back by itself before, its time being over.
 *
 * MUTANT=n breaks the model in one place; check.py sees to it that each break is found:
 *   1  the fast release does not look whether somebody has begun to wait
 *   2  who hands over does not see to it that the next in line has a timer
 *   3  a notification that finds nobody asleep is not remembered
 *   4  who was notified takes that for having the lock
 *   5  who is asked and finds the turn not over forgets that the heir has no timer any more
 *   8  whose timer has rung and who will not keep the time any more does not see to it that the heir does
 *   6  (OUTSIDE) who waits for another one notes what it wants when it has given the lock up already
 *   9  (OUTSIDE) who comes back does not look whether it stands in line already
 *  10  (OUTSIDE) who is outside and gets the lock is notified where it would wait for it
 *   7  (OUTSIDE) who looks for a notification outside consumes it and then sleeps all the same
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
#ifdef OUTSIDE
#define ONLY_BLOCKS (N == 3 && _pid != 1)  /* else there are sixteen million states */
#else
#define ONLY_BLOCKS false
#endif
#define FREE N
#define NOBODY N

byte owner = FREE;       /* the word: whose it is ... */
bool wanted = false;     /* ... and its lowest bit */
bool mutex = false;
byte line[N], line_length = 0;        /* ordinary */
byte first[N], first_length = 0;      /* returning: goes before */
bool notified[N], asleep[N];          /* parkers */
bool timer[N];                        /* has set its timer, and has not looked again since */
bool asked[N], drop[N];               /* holder: what the heir thinks, and its interrupt bit */
byte inside = 0, ended = 0;
#ifdef OUTSIDE
bool wants[N], outer[N];              /* waits for another thread; its parker outside */
bool enlisted[N];                     /* sleeps there and stands in line, or has the lock already */
byte giving = N;                      /* so many threads will still give others what they want */
#endif

/* What is done with the mutex held is one step, where nobody without it could tell the difference. */
inline lock_mutex() { atomic { !mutex -> mutex = true } }
inline unlock_mutex() { mutex = false }

#if N == 2
#define TIME_IS_KEPT (timer[0] || timer[1])
#else
#define TIME_IS_KEPT (timer[0] || timer[1] || timer[2])
#endif
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

/* What `who`, in line, does about the present turn. Who is not the heir may keep the time if nobody does. */
inline arm(who) {
  timer[who] = false;
  if
  :: !asked[owner] && (HEIR == who || !TIME_IS_KEPT) ->
     if
     :: asked[owner] = true; drop[owner] = true     /* the turn is over */
     :: timer[who] = true                           /* it is not */
     :: HEIR != who -> skip                         /* the heir shall be awake when it gets the lock */
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

/* The next in line, if nobody has asked or has a timer: it must be woken to set one. */
inline find_timekeeper() {
  keeper = HEIR;
  if
  :: keeper == NOBODY -> skip
  :: keeper != NOBODY && (asked[owner] || TIME_IS_KEPT || MUTANT == 2) -> keeper = NOBODY
  :: else -> skip
  fi
}

/* `next`, in no line, gets the lock. */
inline grant() {
  d_step { owner = next; wanted = (first_length + line_length > 0) }
}

/* With the mutex held: who sleeps outside while it stands in line, or has just got the lock, is notified there. */
inline notify(who) {
#ifdef OUTSIDE
  d_step {
    if
    :: who == NOBODY -> skip
    :: who != NOBODY && enlisted[who] && MUTANT != 10 -> outer[who] = true; who = NOBODY
    :: else -> skip
    fi
  }
#else
  skip
#endif
}

inline wait_for_lock(me) {
  do
  :: asleep[me] = true;
     if
     :: atomic { notified[me] -> notified[me] = false }
     :: timer[me] -> skip
#ifdef SPURIOUS
     :: true -> skip
#endif
     fi;
     asleep[me] = false;
     if
     :: owner == me || MUTANT == 4 -> break
     :: else ->
        atomic {  /* with the mutex; nothing here is seen or changed by who does not have it, but drop */
           !mutex ->
           if
           :: owner == me -> break
           :: else ->
              arm(me); find_timekeeper();
              if :: MUTANT == 8 -> keeper = NOBODY :: else -> skip fi;
              notify(keeper)
           fi
        };
        unpark(keeper); keeper = NOBODY
     fi
  od
}

#ifdef OUTSIDE
#define STANDS_IN_LINE(me) (enlisted[me] && MUTANT != 9)
#else
#define STANDS_IN_LINE(me) false
#endif

inline acquire(me) {
  got = false;
  atomic { if :: owner == FREE -> owner = me; got = true :: else -> skip fi };
  if
  :: got -> skip
  :: else ->
     lock_mutex();
     atomic {
        if
        :: STANDS_IN_LINE(me) -> skip
        :: else -> if :: owner == FREE -> owner = me; got = true :: else -> wanted = true fi
        fi
     };
     if
     :: got -> unlock_mutex()
     :: else ->
        atomic {
           if
           :: STANDS_IN_LINE(me) -> skip
           :: else -> if :: push_back(me, true) :: push_first(me) :: push_back(me, false) fi
           fi;
#ifdef OUTSIDE
           enlisted[me] = false;
#endif
           if :: owner == me -> got = true :: else -> arm(me) fi;
           unlock_mutex()
        };
        if :: got -> skip :: else -> wait_for_lock(me) fi
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
     atomic {
        lock_mutex();
        end_turn(me);
        take_heir();
        keeper = NOBODY;
        if
        :: next != NOBODY -> grant(); find_timekeeper(); notify(next)
        :: else -> d_step { owner = FREE; wanted = false }
        fi;
        notify(keeper);
        unlock_mutex()
     };
     unpark(next);
     unpark(keeper)
  fi;
  next = NOBODY; keeper = NOBODY
}

inline hand_over(me) {
  atomic {
     lock_mutex();
     drop[me] = false;
     asked[me] = false;
     got = false;
     if
     :: HEIR == NOBODY -> skip
     :: HEIR != NOBODY ->                      /* the interval was lengthened, or who asked has been served */
        find_timekeeper();
        if :: MUTANT == 5 -> keeper = NOBODY :: else -> skip fi
     :: HEIR != NOBODY ->
        inside--;
        take_heir();
        end_turn(me);
        if :: push_back(me, true) :: push_back(me, false) :: push_front(me) fi;
        grant();
        got = true;
        arm(me);
        find_timekeeper();
        notify(next)
     fi;
     notify(keeper);
     unlock_mutex()
  };
  unpark(next);
  unpark(keeper);
  keeper = NOBODY;
  if
  :: got ->
     next = NOBODY;
     wait_for_lock(me);
     inside++; assert(inside == 1 && owner == me);
     over = true
  :: else -> skip
  fi
}

#ifdef OUTSIDE
inline note_want(me) { d_step { wants[me] = true; giving-- } }

#if N == 2
#define IS_QUEUED(who) ((line_length > 0 && line[0] == who) || (first_length > 0 && first[0] == who))
#else
#define IS_QUEUED(who) ((line_length > 0 && line[0] == who) || (line_length > 1 && line[1] == who) || \
                        (first_length > 0 && first[0] == who) || (first_length > 1 && first[1] == who))
#endif

/* By the holder: `to` has what it wants. */
inline give(to) {
  wants[to] = false; giving++;
  if
  :: !wanted -> outer[to] = true
  :: wanted ->
     atomic {
        lock_mutex();
        if
        :: IS_QUEUED(to) -> skip
        :: else ->
           enlisted[to] = true;
           if :: push_back(to, true) :: push_back(to, false) fi;
           find_timekeeper();
           notify(keeper)
        fi;
        unlock_mutex()
     };
     unpark(keeper); keeper = NOBODY
  fi
}

inline give_all() {
  to = 0;
  do
  :: to < N ->
     if :: wants[to] -> give(to) :: else -> skip fi;
     to++
  :: else -> break
  od;
  to = 0
}

inline wait_outside(me) {
  if :: MUTANT != 6 -> note_want(me) :: else -> skip fi;
  inside--;
  release(me);
  if :: MUTANT == 6 -> note_want(me) :: else -> skip fi;
  do
  :: if
     :: outer[me] ->                          /* looking for it was worth while */
        if :: MUTANT == 7 -> outer[me] = false :: else -> skip fi
     :: skip
     fi;
     if
     :: atomic { outer[me] -> outer[me] = false }
#ifdef SPURIOUS
     :: true -> skip
#endif
     fi;
     acquire(me);
     inside++; assert(inside == 1 && owner == me);
     if
     :: !wants[me] -> break
     :: else -> inside--; release(me)
     fi
  od
}
#endif

active [N] proctype thread() {
  byte round = 0, next = NOBODY, keeper = NOBODY, i = 0;
#ifdef OUTSIDE
  byte to = 0;
#endif
  bool got = false, over = false;
  do
  :: round < ROUNDS ->
     acquire(_pid);
     inside++;
     assert(inside == 1 && owner == _pid);
     over = false;
     if
     :: over = true                                        /* it blocks or ends */
     :: !ONLY_BLOCKS -> do                                 /* it computes */
        :: drop[_pid] -> hand_over(_pid)
        :: !wanted || over -> break
        od
     fi;
     assert(inside == 1 && owner == _pid);
#ifdef OUTSIDE
     if
     :: giving > 1 && (N == 2 || _pid == 0) -> wait_outside(_pid)
     :: skip
     fi;
     give_all();
     if :: round == ROUNDS - 1 -> giving-- :: else -> skip fi;
#endif
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
