// The node twin of tasks.script.
const now = () => Number(process.hrtime.bigint());
async function switches(tasks, n) {
  const body = async () => { for (let j = 0; j < n; j++) await null; };
  const began = now();
  await Promise.all(Array.from({length: tasks}, body));
  return (now() - began) / (tasks * n);
}
(async () => {
  await switches(1000, 100);
  console.log(`switch 1,000 x 1,000\t${(await switches(1000, 1000)).toFixed(3)}\tns`);
  console.log(`switch 100,000 x 10, creation included\t${(await switches(100000, 10)).toFixed(3)}\tns`);
  const nothing = async () => {};
  const began = now();
  for (let i = 0; i < 300000; i++) await nothing();
  console.log(`spawn and finish\t${((now() - began) / 300000).toFixed(3)}\tns`);
})();
