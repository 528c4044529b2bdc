# Completion of baton's command line for bash.
_baton() {
  local word=${COMP_WORDS[COMP_CWORD]} command="" i
  local options="-e -l -i -v -E -W - -- --check --dump-bytecode --profile --profile= --gil-stats --gil-trace= --sched-seed= --switch-interval= --max-memory= --max-time= --version --help"
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -e | -l) ((i++)) ;;
      -*) ;;
      =) ((i++)) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command in
    "") if [[ $word == -* ]]; then
          mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        else
          mapfile -t COMPREPLY < <(compgen -W "repl test bench init doc" -- "$word"; compgen -o plusdirs -f -X '!*.@(script|lua)' -- "$word")
        fi ;;
    test) if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--filter= --jobs= --list --verbose --help" -- "$word")
          else
            mapfile -t COMPREPLY < <(compgen -o plusdirs -f -X '!*_test.@(script|lua)' -- "$word")
          fi ;;
    bench) if [[ $word == -* ]]; then
             mapfile -t COMPREPLY < <(compgen -W "--times= --workers= --rounds= --only= --help" -- "$word")
           else
             mapfile -t COMPREPLY < <(compgen -o plusdirs -f -- "$word")
           fi ;;
    doc) [[ $word == -* ]] && mapfile -t COMPREPLY < <(compgen -W "--markdown= --types= --help" -- "$word") ;;
    init) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
  esac
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
  return 0
}
shopt -s extglob
complete -o filenames -F _baton baton
