// The Go twin of tasks.script; GOMAXPROCS=1 as one event loop has one thread.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

func switches(tasks, n int) float64 {
	var group sync.WaitGroup
	began := time.Now()
	for i := 0; i < tasks; i++ {
		group.Add(1)
		go func() {
			for j := 0; j < n; j++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	return float64(time.Since(began).Nanoseconds()) / float64(tasks*n)
}

func resident() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	var kb float64
	fmt.Sscanf(string(status[bytes.Index(status, []byte("VmRSS:"))+6:]), "%f", &kb)
	return kb * 1024
}

func main() {
	before := resident()
	for i := 0; i < 100000; i++ {
		go time.Sleep(1000 * time.Second)
	}
	runtime.Gosched()
	fmt.Printf("100000 sleeping tasks, each\t%.3f\tbytes\n", (resident()-before)/100000)
	fmt.Printf("switch 1,000 x 1,000\t%.3f\tns\n", switches(1000, 1000))
	fmt.Printf("switch 100,000 x 10, creation included\t%.3f\tns\n", switches(100000, 10))
	began := time.Now()
	done := make(chan struct{})
	for i := 0; i < 300000; i++ {
		go func() { done <- struct{}{} }()
		<-done
	}
	fmt.Printf("spawn and finish\t%.3f\tns\n", float64(time.Since(began).Nanoseconds())/300000)
	queue := make(chan int, 100)
	n := 2000000
	began = time.Now()
	go func() {
		for i := 0; i < n; i++ {
			queue <- i
		}
	}()
	for i := 0; i < n; i++ {
		<-queue
	}
	fmt.Printf("bounded queue\t%.3f\tM items/s\n", float64(n)/time.Since(began).Seconds()/1e6)
}
