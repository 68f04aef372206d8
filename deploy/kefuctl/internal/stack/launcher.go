package stack

import "runtime"

// launcher starts children on one thread that lives as long as this process: the kernel
// ends a child when the thread that started it ends, and Go ends threads as it likes.
type launcher chan func()

func newLauncher() launcher {
	l := make(launcher)
	go func() {
		runtime.LockOSThread()
		for work := range l {
			work()
		}
	}()
	return l
}

// do runs work on that thread and waits for it.
func (l launcher) do(work func()) {
	done := make(chan struct{})
	l <- func() {
		defer close(done)
		work()
	}
	<-done
}
