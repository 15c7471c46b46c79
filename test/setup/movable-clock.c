/* Loaded before the C library of a process: its clock is ahead of the machine's by as many milliseconds as a shared file says. It needs no headers. */

typedef long long wide;
struct span { long seconds, parts; };

extern char *getenv(const char *);
extern int open(const char *, int, ...);
extern void *mmap(void *, unsigned long, int, int, int, long);
extern long syscall(long, ...);

#ifdef __aarch64__
enum { CLOCK_GETTIME = 113 };
#else
enum { CLOCK_GETTIME = 228 };
#endif
enum { REALTIME = 0, REALTIME_COARSE = 5 };

static volatile wide *ahead;

static void move(struct span *time, long parts_of_second) {
  if (!ahead) {
    int file = open(getenv("MOVABLE_CLOCK"), 0);
    ahead = mmap(0, sizeof(wide), 1, 1, file, 0);
  }
  wide ms = *ahead;
  time->seconds += ms / 1000;
  time->parts += ms % 1000 * (parts_of_second / 1000);
  while (time->parts < 0) time->seconds--, time->parts += parts_of_second;
  while (time->parts >= parts_of_second) time->seconds++, time->parts -= parts_of_second;
}

int clock_gettime(int clock, struct span *time) {
  long result = syscall(CLOCK_GETTIME, clock, time);
  if (clock == REALTIME || clock == REALTIME_COARSE) move(time, 1000000000);
  return result;
}

int gettimeofday(struct span *time, void *zone) {
  (void)zone;
  long result = syscall(CLOCK_GETTIME, REALTIME, time);
  time->parts /= 1000;
  move(time, 1000000);
  return result;
}

long time(long *into) {
  struct span now;
  clock_gettime(REALTIME, &now);
  if (into) *into = now.seconds;
  return now.seconds;
}
